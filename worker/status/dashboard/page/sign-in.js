// The form that asks for the token.
import { keepToken } from "./connection.js";
import { h } from "./elements.js";

/** `done` is called when a token was given; the server says whether it is the right one. */
export function signIn(says, done) {
  const field = h("input", {
    id: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    "aria-describedby": "token-says",
  });
  const form = h(
    "form",
    { class: "card sign-in" },
    h("h1", null, "Sign in"),
    h("p", { id: "token-says", class: "quiet" }, says),
    h("label", { for: "token" }, "Token (RAG_HTTP_TOKEN)"),
    field,
    h("button", { class: "main" }, "Sign in"),
    h("p", { class: "quiet small" }, "It is kept for this tab only, and forgotten when the tab is closed."),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim() === "") return;
    keepToken(field.value.trim());
    done();
  });
  queueMicrotask(() => field.focus());
  return form;
}
