// Says one clear sentence to a Node that cannot run the worker. Plain JavaScript of an old kind, for the very
// Node that cannot read our sources has to read this one.
const needed = 24;

if (Number(process.versions.node.split(".")[0]) < needed) {
  process.stderr.write(
    `rag needs Node ${needed} or newer and this is ${process.version}: install it from https://nodejs.org, ` +
      "or use the copy that comes with `npm ci` (npm run …, npx rag …).\n",
  );
  process.exit(2);
}
