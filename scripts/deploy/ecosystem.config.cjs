// pm2 start scripts/deploy/ecosystem.config.cjs. PM2 stops with SIGINT, which the worker obeys as well.
const { join } = require("node:path");

module.exports = {
  apps: [
    {
      name: "rag-worker",
      cwd: join(__dirname, "../.."),
      // PM2 would choose another runtime for a .ts file.
      interpreter: "node",
      script: "bin/rag.mjs",
      args: "worker",
      exec_mode: "fork",
      kill_timeout: 30_000,
      // The worker ends its own children, after the jobs that need them.
      treekill: false,
    },
  ],
};
