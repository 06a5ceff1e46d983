// rag completion SHELL: a script that completes commands, options and what they take from a closed list, made from
// the commands themselves.
import { Argument, type Command } from "commander";
import { type DefineCommand, exitCodes } from "./command.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

/** Needs the whole program behind the command's parent: every command with its options. */
export const defineCompletion: DefineCommand = (command, { terminal, end }) => {
  command
    .addArgument(new Argument("<shell>", "for which shell").choices(shells))
    .addHelpText("after", `\n${HOW_TO}`)
    .action((shell: Shell, { json }: { readonly json?: boolean }) => {
      const words = wordsOf(command.parent);
      if (json) terminal.record({ shell, commands: words });
      else terminal.say(scripts[shell](words).trimEnd());
      end(exitCodes.done);
    });
};

const HOW_TO = `bash:  rag completion bash >> ~/.bashrc
zsh:   rag completion zsh >> ~/.zshrc
fish:  rag completion fish > ~/.config/fish/completions/rag.fish`;

type CommandWords = {
  readonly name: string;
  readonly says: string;
  /** What its arguments may be; empty where they are no closed list. */
  readonly words: readonly string[];
  readonly options: readonly OptionWords[];
};
type OptionWords = {
  readonly flag: string;
  readonly says: string;
  /** null for a flag without a value; empty where the value is of no closed list. */
  readonly values: readonly string[] | null;
};

function wordsOf(program: Command | null): readonly CommandWords[] {
  return (program?.commands ?? []).map((command) => ({
    name: command.name(),
    says: command.description(),
    words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: [
      ...command.options.flatMap(({ long, description, required, argChoices }) =>
        long ? [{ flag: long, says: description, values: required ? (argChoices ?? []) : null }] : [],
      ),
      { flag: "--help", says: "display help for command", values: null },
    ],
  }));
}

const scripts: Readonly<Record<Shell, (commands: readonly CommandWords[]) => string>> = {
  bash: (commands) => `_rag() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options="" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${commands.flatMap(bashValues).join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
${commands.map(bashWords).join("\n")}
  esac
  case "$word" in
    -*) words="$options" ;;
  esac
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _rag rag
`,
  zsh: (commands) => `#compdef rag
_rag() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${commands.map(({ name, says }) => `      ${quoted(`${name}:${says}`)}`).join("\n")}
    )
    _describe command commands
    return
  fi
  case "$words[2]" in
${commands
  .map(({ name, words, options }) => {
    const rest = words.length === 0 ? "*:file:_files" : `*:word:(${words.join(" ")})`;
    return `    ${name}) _arguments ${[...options.map(zshOption), rest].map(quoted).join(" ")} ;;`;
  })
  .join("\n")}
  esac
}
compdef _rag rag
`,
  fish: (commands) =>
    commands
      .flatMap(({ name, says, words, options }) => {
        const within = `complete -c rag -n "__fish_seen_subcommand_from ${name}"`;
        return [
          `complete -c rag -n __fish_use_subcommand -f -a ${name} -d ${quoted(says)}`,
          ...(words.length === 0 ? [] : [`${within} -f -a ${quoted(words.join(" "))}`]),
          ...options.map(
            ({ flag, says: told, values }) =>
              `${within} -l ${flag.slice(2)}${fishValue(values)} -d ${quoted(told)}`,
          ),
        ];
      })
      .join("\n"),
};

const bashValues = ({ name, options }: CommandWords): string[] =>
  options.flatMap(({ flag, values }) =>
    values === null || values.length === 0
      ? []
      : `    "${name} ${flag}") COMPREPLY=($(compgen -W "${values.join(" ")}" -- "$word")); return ;;`,
  );

const bashWords = ({ name, words, options }: CommandWords): string =>
  `    ${name}) options="${options.map(({ flag }) => flag).join(" ")}" words="${words.join(" ")}" ;;`;

function zshOption({ flag, says, values }: OptionWords): string {
  const told = `${flag}[${says.replaceAll(/[[\]]/g, "")}]`;
  if (values === null) return told;
  // A blank: there is a value, and nothing to offer for it.
  return `${told}:value:${values.length === 0 ? " " : `(${values.join(" ")})`}`;
}

const fishValue = (values: OptionWords["values"]): string =>
  values === null ? "" : values.length === 0 ? " -x" : ` -x -a ${quoted(values.join(" "))}`;

/** For all three shells: single quotes keep everything but themselves. */
const quoted = (text: string): string => `'${text.replaceAll("'", "’")}'`;
