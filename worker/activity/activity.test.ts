import { expect, test } from "vitest";
import { openActivity } from "./activity.ts";

test("everybody who listens hears what is said, in order and once", () => {
  const activity = openActivity();
  const heard: string[] = [];
  activity.listen((name, facts) => heard.push(`one ${name} ${JSON.stringify(facts)}`));
  activity.listen((name) => heard.push(`two ${name}`));

  activity.say("database.regained", { afterMs: 5 });

  expect(heard).toEqual(['one database.regained {"afterMs":5}', "two database.regained"]);
});

test("who stopped listening hears nothing more, and may stop twice", () => {
  const activity = openActivity();
  const heard: string[] = [];
  const stop = activity.listen((name) => heard.push(name));

  activity.say("database.regained", { afterMs: 5 });
  stop();
  stop();
  activity.say("worker.recovered", { afterMs: 5 });

  expect(heard).toEqual(["database.regained"]);
});

test("one who stops while an event is told does not keep it from the others", () => {
  const activity = openActivity();
  const heard: string[] = [];
  const stop = activity.listen(() => stop());
  activity.listen((name) => heard.push(name));

  activity.say("worker.recovered", { afterMs: 5 });

  expect(heard).toEqual(["worker.recovered"]);
});

test("what is said before anybody listens is not kept", () => {
  const activity = openActivity();
  const heard: string[] = [];

  activity.say("worker.recovered", { afterMs: 5 });
  activity.listen((name) => heard.push(name));

  expect(heard).toEqual([]);
});
