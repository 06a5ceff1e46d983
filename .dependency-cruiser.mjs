// The layer line: imports run to the left only, and rooms in one bracket do not know each other.
// DESIGN.md and worker/README.md say it in words. A new room has to be given its place here first.
const layers = [
  ["client"],
  ["failure"],
  ["document", "timing", "config"],
  ["activity"],
  ["log"],
  [
    "database",
    "sources",
    "extractors",
    "chunkers",
    "tokenizers",
    "embedders",
    "costs",
    "analysts",
    "wake-buses",
  ],
  ["pipeline", "relationships", "integrity"],
  ["queue", "search"],
  ["ingress", "realtime", "status", "tracing"],
  ["derived-options.ts"],
  ["start-worker.ts"],
  ["assemble.ts"],
  ["cli"],
  ["main.ts"],
];

// Tests, and the contract suite of a shelf, may look at everything; nothing but tests may look at them.
const tests = "^worker/tests/|\\.test\\.ts$|/contract\\.ts$|/testing/";
const path = (room) => `^worker/${room.replace(".", "\\.")}${room.endsWith(".ts") ? "$" : "/"}`;
const anyOf = (rooms) => rooms.map(path).join("|");

const roomRules = layers.flatMap((bracket, level) =>
  bracket.map((room) => ({
    name: `layer-line-${room}`,
    comment: `worker/${room} may import only what stands to its left on the layer line, and itself.`,
    severity: "error",
    from: { path: path(room), pathNot: tests },
    to: { path: "^worker/", pathNot: anyOf([...layers.slice(0, level).flat(), room]) },
  })),
);

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...roomRules,
    {
      name: "room-without-a-place",
      comment: "This folder does not stand on the layer line.",
      severity: "error",
      from: { path: "^worker/", pathNot: `${anyOf(layers.flat())}|${tests}` },
      to: {},
    },
    {
      name: "worker-alone",
      comment: "The worker does not import its scripts.",
      severity: "error",
      from: { path: "^worker/", pathNot: tests },
      to: { path: "^scripts/" },
    },
    {
      name: "product-without-tests",
      comment: "Code that ships does not import tests or their stand-ins.",
      severity: "error",
      from: { path: "^worker/", pathNot: tests },
      to: { path: tests },
    },
    {
      name: "product-without-tools",
      comment: "Deployments install without devDependencies.",
      severity: "error",
      from: { path: "^worker/", pathNot: tests },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["type-only"] },
    },
    { name: "no-circle", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-dead-end",
      comment: "The one exception is required from the folder of another package, where it is.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^\\./engine\\.cjs$" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // An import of a type is knowledge too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
