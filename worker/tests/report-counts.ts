// Ends a test run with what must not be overlooked: each skipped test by name, then the counts in one line.
// With a path, the counts are also written there as JSON, for CI to judge.
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule, Vitest } from "vitest/node";

export class CountReporter implements Reporter {
  readonly #path: string | undefined;
  #namesAreChosen = false;

  constructor(path?: string) {
    this.#path = path;
  }

  onInit(vitest: Vitest): void {
    this.#namesAreChosen = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    const skipped: string[] = [];
    for (const module of modules) {
      // A file that could not be read has no tests and yet is a failure.
      if (module.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "pending") continue;
        counts[state] += 1;
        if (state === "skipped") skipped.push(`  ${module.relativeModuleId} > ${test.fullName}`);
      }
    }
    if (skipped.length > 0 && !this.#namesAreChosen) {
      say(`\nSKIPPED, for what they need is not here (scripts/services up):\n${skipped.join("\n")}`);
    }
    if (this.#path) writeFileSync(this.#path, JSON.stringify(counts));
    say(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
}

const say = (line: string) => process.stdout.write(`${line}\n`);
