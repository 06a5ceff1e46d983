import { expect, test } from "vitest";
import { judgeAudit } from "./audit.ts";

const report = (vulnerabilities: Readonly<Record<string, object>>) =>
  JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities,
    metadata: { vulnerabilities: { total: Object.keys(vulnerabilities).length } },
  });

test("no known hole is well", () => {
  expect(judgeAudit(report({}))).toMatchObject({
    exitCode: 0,
    says: expect.stringContaining("No known hole"),
  });
});

test("a known hole fails, with the package and its versions", () => {
  const audit = judgeAudit(report({ ws: { severity: "high", range: "<8.17.1" } }));

  expect(audit).toMatchObject({ exitCode: 1, says: expect.stringContaining("high  ws <8.17.1") });
});

test.each([
  "",
  "not JSON",
  '{"error": {"summary": "audit endpoint returned an error"}}',
])("a registry that says %j fails nothing, and it is told", (output) => {
  expect(judgeAudit(output)).toMatchObject({
    exitCode: 0,
    says: expect.stringContaining("nothing was audited"),
  });
});
