// rag completion SHELL: a script that completes commands and options, made from the commands themselves.
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
  readonly options: readonly OptionWords[];
};
type OptionWords = { readonly flag: string; readonly says: string };

function wordsOf(program: Command | null): readonly CommandWords[] {
  return (program?.commands ?? []).map((command) => ({
    name: command.name(),
    says: command.description(),
    options: [
      ...command.options.flatMap(({ long, description }) =>
        long ? [{ flag: long, says: description }] : [],
      ),
      { flag: "--help", says: "display help for command" },
    ],
  }));
}

const scripts: Readonly<Record<Shell, (commands: readonly CommandWords[]) => string>> = {
  bash: (commands) => `_rag() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${commands.map(({ name, options }) => `    ${name}) options="${options.map(({ flag }) => flag).join(" ")}" ;;`).join("\n")}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
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
  .map(
    ({ name, options }) =>
      `    ${name}) _arguments ${options.map(({ flag, says }) => quoted(`${flag}[${says.replaceAll(/[[\]]/g, "")}]`)).join(" ")} '*:file:_files' ;;`,
  )
  .join("\n")}
  esac
}
compdef _rag rag
`,
  fish: (commands) =>
    commands
      .flatMap(({ name, says, options }) => [
        `complete -c rag -n __fish_use_subcommand -f -a ${name} -d ${quoted(says)}`,
        ...options.map(
          ({ flag, says: told }) =>
            `complete -c rag -n "__fish_seen_subcommand_from ${name}" -l ${flag.slice(2)} -d ${quoted(told)}`,
        ),
      ])
      .join("\n"),
};

/** For all three shells: single quotes keep everything but themselves. */
const quoted = (text: string): string => `'${text.replaceAll("'", "’")}'`;
