// Retry, cancel, prioritise, pause, resume: counted first, agreed to in a dialog, done in steps.
import { Refused, send } from "./connection.js";
import { h, say } from "./elements.js";
import { count, counted } from "./words.js";

const PATH = "/jobs/actions";
const STEP = 1000;

const verbs = {
  retry: { name: "Retry", of: "Retry", done: "back in the queue" },
  cancel: { name: "Cancel", of: "Cancel", done: "cancelled" },
  prioritise: { name: "Set priority", of: "Set the priority of", done: "given the new priority" },
};

/** The priorities that a person chooses from; the queue knows 0 to 9. */
const priorities = [
  [9, "9, before all others"],
  [5, "5, urgent"],
  [1, "1, a little earlier"],
  [0, "0, the usual"],
];

/** Asks how many, has it confirmed, and does it. Answers whether something was changed. */
export async function actOn(action, filter, { one = false } = {}) {
  const verb = verbs[action];
  try {
    let more = {};
    if (action === "prioritise") {
      const priority = await choosePriority();
      if (priority === null) return false;
      more = { priority };
    }
    const { jobs } = await send(PATH, { action, filter, ...more, count_only: true });
    if (jobs === 0) {
      say("No job fits: they are in another state by now, or have a newer job already.", "plain");
      return false;
    }
    // One job that was pointed at is meant; what cannot be undone is asked about all the same.
    if (
      (!one || action === "cancel") &&
      !(await confirm(`${verb.of} ${counted(jobs, "job")}?`, verb.name, action === "cancel"))
    )
      return false;
    const done = await inSteps({ action, filter, ...more }, jobs);
    say(`${counted(done, "job")} ${verb.done}.`);
    return done > 0;
  } catch (thrown) {
    return tellRefusal(thrown);
  }
}

async function inSteps(asked, jobs) {
  let done = 0;
  while (done < jobs) {
    const answer = await send(PATH, { ...asked, at_most: Math.min(STEP, jobs - done) });
    if (answer.jobs === 0) break;
    done += answer.jobs;
    if (jobs > STEP) say(`${count(done)} of ${count(jobs)} jobs…`, "plain");
  }
  return done;
}

export async function pause(scope, name = "") {
  const what = scope === "all" ? "all jobs" : `${scope} ${name}`;
  const reason = await confirm(`Pause ${what}?`, "Pause", false, {
    says: "No job is taken until you resume. Those at work go on to their end.",
    field: "Why (others will read it)",
  });
  if (reason === null) return false;
  try {
    await send(PATH, { action: "pause", scope, name, reason: reason || null });
    say(`Paused: ${what}.`);
    return true;
  } catch (thrown) {
    return tellRefusal(thrown);
  }
}

export async function resume(scope, name = "") {
  try {
    await send(PATH, { action: "resume", scope, name });
    say("Resumed.");
    return true;
  } catch (thrown) {
    return tellRefusal(thrown);
  }
}

function tellRefusal(thrown) {
  if (!(thrown instanceof Refused)) throw thrown;
  say(thrown.message, "bad");
  return false;
}

/** A dialog with a question. Answers true, the field's text where there is one, or false (null with a field). */
function confirm(question, verb, grave, { says = null, field = null } = {}) {
  const input = field === null ? null : h("input", { id: "confirm-field", maxlength: 500 });
  return ask(
    question,
    [
      says === null ? null : h("p", { class: "quiet" }, says),
      input === null ? null : [h("label", { for: "confirm-field" }, field), input],
    ],
    verb,
    grave,
    () => input?.value ?? true,
    field === null ? false : null,
  );
}

function choosePriority() {
  const select = h(
    "select",
    { id: "priority" },
    priorities.map(([value, says]) => h("option", { value }, says)),
  );
  return ask(
    "Set the priority",
    [h("label", { for: "priority" }, "Waiting jobs of a higher priority go first"), select],
    "Go on",
    false,
    () => Number(select.value),
    null,
  );
}

function ask(question, content, verb, grave, answer, otherwise) {
  const { promise, resolve } = Promise.withResolvers();
  const dialog = h(
    "dialog",
    { "aria-labelledby": "question" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "question" }, question),
      content,
      h(
        "div",
        { class: "row end" },
        h("button", { value: "no", type: "button", "data-no": true }, "Keep as it is"),
        h("button", { value: "yes", class: grave ? "grave" : "main" }, verb),
      ),
    ),
  );
  // Not the form's own submission: the policy forbids every one.
  const end = (agreed) => {
    resolve(agreed ? answer() : otherwise);
    dialog.close();
    dialog.remove();
  };
  dialog.querySelector("[data-no]").addEventListener("click", () => end(false));
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    end(true);
  });
  dialog.addEventListener("cancel", () => end(false));
  document.body.append(dialog);
  dialog.showModal();
  return promise;
}
