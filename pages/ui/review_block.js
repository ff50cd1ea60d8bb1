// One item at a time under the keyboard. A key acts at once on what is shown here; what it did goes to the server as a
// named press, is kept in the browser's own storage until the server says that it has it, and is sent again till then.
// Every text from a task goes into textContent, never into markup.

const ACTIONS = [
  ["accept", "Accept", "a"], ["reject", "Reject", "x"], ["skip", "Skip", " "],
  ["edit", "Edit", "e"], ["flag", "Flag", "f"], ["undo", "Undo", "Backspace"],
];
const KEYS_STORED = "sedi-review-keys";
const RETRY_MS = [600, 1200, 2400, 4000];
const KEPT = 60;
const blocks = new Map();

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const name = data.storage;
  let block = blocks.get(name);
  if (!block) blocks.set(name, (block = new Block(name)));
  block.mount(parentElement, setStateValue);
  block.take(data);
  return () => block.leave(parentElement);
}

class Block {
  constructor(name) {
    this.prefix = `sedi-review:${name}:`;
    this.tab = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 10)}`;
    this.count = 0;
    this.tries = 0;
    this.pending = this.stored();
    this.recent = [];
    this.back = [];
    this.items = [];
    this.drafts = new Map();
    this.reason = null;
    this.keys = this.readKeys();
    this.listening = (event) => this.pressed(event);
    this.leaving = (event) => { if (this.pending.length) event.preventDefault(); };
  }

  mount(element, setStateValue) {
    this.send_state = setStateValue;
    if (this.element === element) return;
    this.element = element;
    document.addEventListener("keydown", this.listening, true);
    window.addEventListener("beforeunload", this.leaving);
  }

  leave(element) {
    if (this.element !== element) return;
    document.removeEventListener("keydown", this.listening, true);
    window.removeEventListener("beforeunload", this.leaving);
    this.element = null;
    clearTimeout(this.timer);
  }

  // ---- what the server says -------------------------------------------------------------------------------------
  take(data) {
    this.data = data;
    const taken = new Set(data.taken);
    const before = this.pending.length;
    this.pending = this.pending.filter((press) => !taken.has(press.press));
    taken.forEach((press) => this.forget(press));
    if (this.pending.length < before) this.tries = 0;
    const here = new Set(data.items.map((item) => item.subject));
    this.back = this.back.filter((item) => !here.has(item.subject));
    this.items = data.items;
    for (const [subject, text] of Object.entries(data.refused)) this.drafts.set(subject, text);
    if (this.pending.length) this.later();
    if (!this.editing || !this.current() || this.current().subject !== this.editing) {
      this.editing = null;
      this.draw();
    } else this.drawState();
  }

  // Items that are open here: what was taken back first, then what the server gave, less what has been pressed.
  open() {
    const done = new Set();
    const stack = [];
    for (const press of this.pending) {
      if (press.key === "undo") { if (stack.length) done.delete(stack.pop()); }
      else { stack.push(press.subject); done.add(press.subject); }
    }
    return [...this.back, ...this.items].filter((item) => !done.has(item.subject));
  }

  current() { return this.open()[0]; }

  // ---- what the person does -------------------------------------------------------------------------------------
  pressed(event) {
    if (!this.element || !this.element.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.composedPath()[0];
    const own = this.element.contains(event.target) || event.composedPath().includes(this.element);
    const typing = at instanceof HTMLElement &&
      (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable || at.getAttribute("role") === "combobox");
    if (this.changing) { this.changed(event); return; }
    if (typing) {
      if (own && this.editing && event.key === "Escape") { event.preventDefault(); this.stopEditing(); }
      if (own && this.editing && event.key === "Enter" && event.shiftKey) { event.preventDefault(); this.saveEdit(); }
      return;
    }
    if (document.querySelector('[role="dialog"], [data-baseweb="popover"] [role="listbox"]')) return;
    if (!own && at instanceof HTMLElement && at.closest("button, a, summary, [role=tab]") && /^( |Enter)$/.test(event.key)) return;
    if (event.key === "?") { event.preventDefault(); this.help = !this.help; this.draw(); return; }
    if (event.key === "Escape" && this.help) { this.help = false; this.draw(); return; }
    if (/^[1-9]$/.test(event.key)) { this.chooseReason(Number(event.key) - 1); event.preventDefault(); return; }
    const action = Object.keys(this.keys).find((one) => this.keys[one].toLowerCase() === event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) this.act(action);
  }

  act(action) {
    if (this.data.readonly || this.editing) return;
    const item = this.current();
    if (action === "undo") { this.undo(); return; }
    if (!item) return;
    if (action === "edit") { if (item.editable) this.startEditing(item); return; }
    if (item.keys && item.keys[action] === null) return;
    this.press(item, action, null);
  }

  press(item, key, text) {
    const reason = key === "reject" || key === "flag" || key === "accept" ? this.reason : null;
    this.add({ press: this.name(), subject: item.subject, key, reason, seen: item.seen, queue: this.data.queue, text });
    this.reason = null;
    this.recent.push(item);
    if (this.recent.length > KEPT) this.recent.shift();
    this.back = this.back.filter((one) => one.subject !== item.subject);
    if (key !== "edit") this.drafts.delete(item.subject);
    this.draw();
  }

  undo() {
    this.add({ press: this.name(), subject: "", key: "undo", reason: null, seen: 0, queue: this.data.queue, text: null });
    const item = this.recent.pop();
    if (item) this.back = [item, ...this.back.filter((one) => one.subject !== item.subject)];
    this.draw();
  }

  chooseReason(place) {
    const code = this.data.reasons[place];
    if (!code) return;
    this.reason = this.reason === code.code ? null : code.code;
    this.draw();
  }

  startEditing(item) {
    this.editing = item.subject;
    this.draw();
    this.element.querySelector("textarea").focus();
  }

  stopEditing() {
    this.editing = null;
    this.draw();
  }

  saveEdit() {
    const item = this.current();
    const text = [...this.element.querySelectorAll("textarea")].map((one) => one.value);
    this.drafts.set(item.subject, text);
    this.editing = null;
    this.press(item, "edit", text);
  }

  // ---- presses on their way -------------------------------------------------------------------------------------
  name() { return `${this.tab}-${(this.count += 1)}`; }

  add(press) {
    this.pending.push(press);
    try { localStorage.setItem(this.prefix + press.press, JSON.stringify([Date.now(), this.count, press])); } catch { /* full */ }
    this.tries = 0;
    this.send();
  }

  stored() {
    const found = [];
    try {
      for (const key of Object.keys(localStorage).filter((one) => one.startsWith(this.prefix)))
        found.push(JSON.parse(localStorage.getItem(key)));
    } catch { return []; }
    return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((one) => one[2]);
  }

  forget(press) { try { localStorage.removeItem(this.prefix + press); } catch { /* none */ } }

  send() {
    clearTimeout(this.timer);
    this.sent = (this.sent || 0) + 1;
    try { this.send_state("presses", { sent: `${this.tab}-${this.sent}`, presses: this.pending }); } catch { /* offline */ }
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.timer = setTimeout(() => {
      if (!this.element || !this.pending.length) return;
      this.tries += 1;
      this.send();
      this.drawState();
    }, wait);
  }

  // ---- keys -----------------------------------------------------------------------------------------------------
  readKeys() {
    const keys = Object.fromEntries(ACTIONS.map(([name, , key]) => [name, key]));
    try { Object.assign(keys, JSON.parse(localStorage.getItem(KEYS_STORED) || "{}")); } catch { /* none */ }
    return keys;
  }

  changed(event) {
    event.preventDefault();
    event.stopPropagation();
    const key = event.key;
    if (key !== "Escape" && !/^([1-9?]|Shift|Control|Alt|Meta|Tab|Enter|r|c)$/i.test(key)) {
      const other = Object.keys(this.keys).find((one) => this.keys[one] === key);
      if (other) this.keys[other] = this.keys[this.changing];
      this.keys[this.changing] = key;
      try { localStorage.setItem(KEYS_STORED, JSON.stringify(this.keys)); } catch { /* none */ }
    }
    this.changing = null;
    this.draw();
  }

  // ---- drawing --------------------------------------------------------------------------------------------------
  draw() {
    if (!this.element) return;
    const item = this.current();
    const root = make("div", "review");
    root.append(this.drawSaid(), item ? this.drawItem(item) : this.drawEmpty(), this.drawHelp());
    const old = this.element.querySelector(".review");
    if (old) old.replaceWith(root); else this.element.append(root);
    this.drawState();
    if (item) this.drawMap(root.querySelector("canvas"), item);
  }

  drawState() {
    const bar = this.element && this.element.querySelector(".review-state");
    if (!bar) return;
    const waiting = this.pending.length;
    bar.className = `review-state${waiting ? " review-waiting" : ""}`;
    bar.dataset.waiting = String(waiting);
    const gone = waiting && this.tries > 1 ? " The server does not answer; they are kept here and sent again." : "";
    bar.textContent = waiting ? `${waiting} not stored yet.${gone}` : "Everything is stored.";
  }

  drawSaid() {
    const box = make("div", "review-said");
    for (const line of this.data.said) box.append(make("div", "review-line", line));
    return box;
  }

  drawEmpty() {
    const box = make("div", "review-empty st-key-seeds_item");
    const waiting = this.pending.length > 0;
    box.append(make("h3", "", waiting ? "The next items are on their way." : this.data.empty));
    box.append(this.drawButtons(null), make("div", "review-state"));
    return box;
  }

  drawItem(item) {
    const box = make("div", "review-item st-key-seeds_item");
    box.dataset.subject = item.subject;
    const left = make("div", "review-task"), right = make("div", "review-beside");
    const head = make("div", "review-head");
    for (const [text, colour] of item.badges) head.append(make("span", `review-badge review-${colour}`, text));
    head.append(make("span", "review-id", item.title));
    if (item.task) head.append(link("whole lineage", `map?run=${encodeURIComponent(this.data.run)}&item=${encodeURIComponent(item.task)}`));
    const rest = this.data.left === null ? "" : `${Math.max(0, this.data.left - this.doneHere()).toLocaleString("en")} left`;
    head.append(make("span", "review-left", rest));
    left.append(head);
    if (this.editing === item.subject) left.append(this.drawForm(item));
    else for (const [name, text, more] of item.texts) left.append(drawText(name, text, more));
    if (item.diff) left.append(drawDifference(item.diff));
    left.append(drawNear(item.near), drawList("Seeds in its prompt", item.seeds));
    right.append(this.drawButtons(item), this.drawReasons(), make("div", "review-state"));
    if (item.facts.length) right.append(make("div", "review-facts", item.facts.join("\n")));
    if (item.place) right.append(make("canvas", "review-map"));
    right.append(drawList("Said before", item.history));
    if (this.data.guidelines) {
      const more = make("details", "review-guidelines");
      more.open = this.guidelines !== false;
      more.ontoggle = () => { this.guidelines = more.open; };
      more.append(make("summary", "", "Guidelines"), make("div", "", this.data.guidelines));
      right.append(more);
    }
    box.append(left, right);
    return box;
  }

  doneHere() {
    return this.pending.reduce((sum, press) => sum + (press.key === "undo" ? -1 : 1), 0);
  }

  drawForm(item) {
    const form = make("div", "review-form");
    const draft = this.drafts.get(item.subject) || item.full;
    ["instruction", "input", "output"].forEach((name, place) => {
      const label = make("label", "", name);
      const area = document.createElement("textarea");
      area.value = draft[place];
      area.rows = Math.min(14, 2 + Math.floor(draft[place].length / 70));
      area.className = `review-edit-${name}`;
      label.append(area);
      form.append(label);
    });
    const bar = make("div", "review-buttons");
    bar.append(button("Save the edit  ⇧⏎", "review-save", () => this.saveEdit()), button("Leave it  esc", "", () => this.stopEditing()));
    form.append(bar);
    return form;
  }

  drawButtons(item) {
    const bar = make("div", "review-buttons");
    for (const [action, label] of ACTIONS) {
      const words = (item && item.keys && item.keys[action]) || label;
      const off = this.data.readonly || (action !== "undo" && !item) || (action === "edit" && item && !item.editable) ||
        (item && item.keys && item.keys[action] === null);
      const holder = make("div", `st-key-seeds_${action}`);
      const made = button(words, `review-${action}`, () => { made.blur(); this.act(action); });
      made.append(make("kbd", "", spelled(this.keys[action])));
      made.disabled = Boolean(off || this.editing);
      holder.append(made);
      bar.append(holder);
    }
    bar.append(button("Keys  ?", "review-keys", () => { this.help = !this.help; this.draw(); }));
    return bar;
  }

  drawReasons() {
    const bar = make("div", "review-reasons st-key-seeds_reason");
    this.data.reasons.forEach((one, place) => {
      const made = button("", this.reason === one.code ? "review-chosen" : "", () => { made.blur(); this.chooseReason(place); });
      made.setAttribute("aria-pressed", String(this.reason === one.code));
      made.dataset.code = one.code;
      made.append(make("kbd", "", String(place + 1)), document.createTextNode(one.label));
      bar.append(made);
    });
    return bar;
  }

  drawHelp() {
    const box = make("div", `review-help${this.help ? " review-open" : ""}`);
    if (!this.help) return box;
    box.append(make("h3", "", "Keys"));
    for (const [action, label] of ACTIONS) {
      const line = make("div", "review-key");
      const text = this.changing === action ? "press a key, esc to leave it" : spelled(this.keys[action]);
      line.append(make("span", "", label), make("kbd", "", text), button("change", "", () => { this.changing = action; this.draw(); }));
      box.append(line);
    }
    box.append(make("div", "review-facts", "1 to 9 choose a reason for the next decision. Keys do nothing while you type. " +
      "They are kept in this browser."));
    box.append(button("Standard keys", "", () => {
      try { localStorage.removeItem(KEYS_STORED); } catch { /* none */ }
      this.keys = this.readKeys();
      this.draw();
    }), button("Close  esc", "", () => { this.help = false; this.draw(); }));
    return box;
  }

  drawMap(canvas, item) {
    if (!canvas) return;
    const all = this.data.map, box = canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
    canvas.width = box.width * scale;
    canvas.height = box.height * scale;
    const pen = canvas.getContext("2d"), look = getComputedStyle(this.element);
    const xs = [...all.x, item.place[0]], ys = [...all.y, item.place[1]];
    const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
    const at = (value, side, size) => 6 * scale + ((value - low[side]) / (high[side] - low[side] || 1)) * (size - 12 * scale);
    pen.fillStyle = look.color;
    pen.globalAlpha = 0.3;
    all.x.forEach((x, place) => pen.fillRect(at(x, 0, canvas.width), canvas.height - at(all.y[place], 1, canvas.height), 2 * scale, 2 * scale));
    pen.globalAlpha = 1;
    pen.strokeStyle = pen.fillStyle = "#d55e00";
    pen.lineWidth = 2 * scale;
    pen.beginPath();
    pen.arc(at(item.place[0], 0, canvas.width), canvas.height - at(item.place[1], 1, canvas.height), 6 * scale, 0, 7);
    pen.stroke();
  }
}

function make(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(label, name, act) {
  const made = make("button", name, label);
  made.type = "button";
  made.onclick = act;
  return made;
}

function link(text, address) {
  const made = make("a", "review-link", text);
  made.href = address;
  made.target = "_blank";
  made.rel = "noopener";
  return made;
}

function spelled(key) { return { " ": "space", Backspace: "⌫" }[key] || key; }

function drawText(name, text, more) {
  const box = make("div", `review-text review-text-${name}`);
  const body = make("div", "review-words", text);
  body.dir = "auto";
  box.append(make("div", "review-name", name), body);
  if (more) box.append(make("div", "review-more", more));
  return box;
}

function drawDifference(parts) {
  const box = make("div", "review-text");
  const body = make("div", "review-words");
  for (const [how, text] of parts) body.append(make({ same: "span", gone: "del", added: "ins" }[how], "", text), document.createTextNode(" "));
  box.append(make("div", "review-name", "difference to its nearest: struck out is only there, underlined only here"), body);
  return box;
}

function drawList(title, lines) {
  const box = make("div", "review-list");
  if (!lines.length) return box;
  box.append(make("div", "review-name", title));
  for (const line of lines) box.append(make("div", "review-line", line));
  return box;
}

function drawNear(rows) {
  const box = make("div", "review-list");
  if (!rows.length) return box;
  box.append(make("div", "review-name", "Nearest by meaning, and what was decided of them"));
  for (const [score, status, text] of rows) {
    const line = make("div", "review-near");
    line.append(make("b", "", score), make("span", "review-badge review-gray", status), make("span", "", text));
    box.append(line);
  }
  return box;
}
