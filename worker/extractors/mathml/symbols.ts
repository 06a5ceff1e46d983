// The characters of MathML and their TeX commands: the ones that formulas are made of, not all of Unicode. A
// character without a command stays as it is, which modern TeX reads too.

const COMMANDS: Readonly<Record<string, string>> = {
  ...commands("αβγδεζηθικλμνξ", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi"),
  ...commands("πρστυφχψω", "pi rho sigma tau upsilon phi chi psi omega"),
  ...commands("ΓΔΘΛΞΠΣΥΦΨΩ", "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"),
  ...commands("ϵϑϖϱςϕ", "epsilon vartheta varpi varrho varsigma phi"),
  ...commands("×⋅·÷±∓∗∘∙⊕⊗⊙", "times cdot cdot div pm mp ast circ bullet oplus otimes odot"),
  ...commands("≤≥≠≈≡∼≃≅∝≪≫≺≻", "leq geq neq approx equiv sim simeq cong propto ll gg prec succ"),
  ...commands("∈∉∋⊂⊃⊆⊇∪∩∅∖", "in notin ni subset supset subseteq supseteq cup cap emptyset setminus"),
  ...commands("∀∃¬∧∨⊢⊨⊥∥", "forall exists neg wedge vee vdash models perp parallel"),
  ...commands(
    "→←↔⇒⇐⇔↦↑↓⟶⟹⟺",
    "rightarrow leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow mapsto uparrow downarrow longrightarrow implies iff",
  ),
  ...commands("∑∏∐∫∬∭∮⋃⋂", "sum prod coprod int iint iiint oint bigcup bigcap"),
  ...commands("∞∂∇ℏℓ℘ℜℑℵ√†‡°", "infty partial nabla hbar ell wp Re Im aleph surd dagger ddagger degree"),
  ...commands("…⋯⋮⋱", "ldots cdots vdots ddots"),
  ...commands("⟨⟩⌈⌉⌊⌋‖", "langle rangle lceil rceil lfloor rfloor Vert"),
  "−": "-",
  "...": "\\ldots",
  "%": "\\%",
  "&": "\\&",
  "#": "\\#",
  $: "\\$",
  _: "\\_",
  // Invisible: function application, times, separator, plus.
  "\u2061": "",
  "\u2062": "",
  "\u2063": "",
  "\u2064": "",
};

/** Operators whose limits stand above and below. */
export const LARGE: ReadonlySet<string> = new Set(
  "\\sum \\prod \\coprod \\int \\iint \\iiint \\oint \\bigcup \\bigcap \\lim \\max \\min \\sup \\inf".split(
    " ",
  ),
);

export const FUNCTIONS: ReadonlySet<string> = new Set(
  "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim max min sup inf det dim ker deg gcd arg hom Pr".split(
    " ",
  ),
);

export const VARIANTS: Readonly<Record<string, string>> = {
  bold: "mathbf",
  "bold-italic": "mathbf",
  "double-struck": "mathbb",
  script: "mathcal",
  fraktur: "mathfrak",
  "sans-serif": "mathsf",
  monospace: "mathtt",
};

/** Of `<mover accent="true">`. */
export const ACCENTS: Readonly<Record<string, string>> = {
  "^": "hat",
  ˆ: "hat",
  "~": "tilde",
  "\\sim": "tilde",
  "¯": "bar",
  "‾": "overline",
  "\\rightarrow": "vec",
  "˙": "dot",
  ".": "dot",
  "¨": "ddot",
};

/** A command ends with a space, so that a letter after it does not become part of it. */
export function symbol(text: string): string {
  const command = Object.hasOwn(COMMANDS, text) ? COMMANDS[text] : undefined;
  if (command === undefined) return text;
  return /^\\[a-zA-Z]/.test(command) ? `${command} ` : command;
}

function commands(characters: string, names: string): Record<string, string> {
  const known = names.split(" ");
  return Object.fromEntries([...characters].map((character, at) => [character, `\\${known[at]}`]));
}
