import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findChanged, hashMigrations, type Released, readReleased } from "./release.ts";

let folder: string;
let released: Released;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rag-release-"));
  writeFileSync(join(folder, "20300101_first.sql"), "select 1;\n");
  writeFileSync(join(folder, "20300102_second.sql"), "select 2;\n");
  released = { version: "1.2.3", migrations: hashMigrations(folder) };
});
afterEach(() => rmSync(folder, { recursive: true }));

test("the migrations of the last release stand here as they were released", () => {
  expect(findChanged(readReleased(), hashMigrations())).toEqual([]);
});

test("a migration may follow the released ones, and may change until it is released itself", () => {
  writeFileSync(join(folder, "20300103_third.sql"), "select 3;\n");

  expect(findChanged(released, hashMigrations(folder))).toEqual([]);
});

test("a released migration that was edited is named, with what to do", () => {
  writeFileSync(join(folder, "20300102_second.sql"), "select 2 ;\n");

  expect(findChanged(released, hashMigrations(folder))).toEqual([
    "20300102_second.sql was edited, and is of 1.2.3, which databases have run: undo that, and write the change into a new migration.",
  ]);
});

test("a released migration that is gone is named", () => {
  rmSync(join(folder, "20300101_first.sql"));

  expect(findChanged(released, hashMigrations(folder)).join()).toMatch(/^20300101_first.sql is gone/);
});

test("a migration that would run before released ones is named", () => {
  writeFileSync(join(folder, "20300101_later.sql"), "select 3;\n");

  expect(findChanged(released, hashMigrations(folder)).join()).toMatch(
    /^20300101_later.sql comes before 20300102_second.sql/,
  );
});
