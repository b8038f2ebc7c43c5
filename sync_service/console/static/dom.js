// Small helpers. Everything that people wrote goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const { data = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  Object.assign(node.dataset, data);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const words = (slug) => slug.replaceAll("_", " ");
export const nothing = (text) => make("p", { className: "muted", textContent: text });

// A button whose label says what it is about; *key* finds it again when its list is rebuilt.
export function button(text, key, about, act) {
  const made = make("button", {
    type: "button",
    textContent: text,
    ariaLabel: `${text}: ${about}`,
    data: { key },
  });
  made.addEventListener("click", act);
  return made;
}

const shown = new WeakMap();

// Replaces the children only if what they show changed, so that focus and selection stay.
export function show(container, model, build) {
  const print = JSON.stringify(model);
  if (shown.get(container) === print) return;
  shown.set(container, print);
  const focused = container.contains(document.activeElement)
    ? document.activeElement.dataset.key
    : undefined;
  container.replaceChildren(...build(model));
  if (focused) container.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

let timer;

export function announce(text) {
  const message = byId("message");
  message.textContent = text;
  message.hidden = !text;
  clearTimeout(timer);
  if (text) timer = setTimeout(() => announce(""), 8000);
}
