# Stop with `docker stop --time 30`, or run with scripts/deploy/compose.yaml: Docker's own ten seconds are
# fewer than the worker takes to finish its jobs.
FROM node:24-slim

WORKDIR /app
ENV NODE_ENV=production PORT=8080

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force

COPY bin ./bin
COPY worker ./worker
COPY supabase ./supabase

# The embedded database and the model cache, when there is no other database: mount a volume here.
RUN mkdir .rag && chown node:node .rag
VOLUME /app/.rag

USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch(`http://localhost:${process.env.PORT}/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "bin/rag.mjs", "worker"]
