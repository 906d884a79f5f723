"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const STEP = 200;
  const rows = [...data.pairs, ...data.singles];
  const chosen = { classes: new Set(), test: "", model: "" };
  let limit = STEP;

  // Everything that a recording says becomes text, never markup.
  function node(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  }

  function tree(value, key) {
    const label = key === undefined ? "" : node("span", { class: "key" }, `${key}: `);
    if (value === null || typeof value !== "object") {
      const shown = typeof value === "string" ? `"${value}"` : String(value);
      return node("div", { class: "leaf" }, label, shown);
    }
    const entries = Object.entries(value);
    const size = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
    const inside = entries.map(([name, item]) => tree(item, name));
    return node("details", { open: "" }, node("summary", {}, label, node("span", { class: "dim" }, size)), ...inside);
  }

  function words(segments, side) {
    const tag = side === 0 ? "del" : "ins";
    const parts = segments.map((part) => {
      if (part.length === 1) return part[0];
      return part[side] === "" ? "" : node(tag, {}, part[side]);
    });
    const made = node("div", { class: "words" }, ...parts);
    if (!made.textContent) made.append(node("span", { class: "dim" }, "(empty)"));
    return made;
  }

  function place(one) {
    const sides = ["old", "new"].map((name, side) =>
      node("div", { class: name }, node("h3", {}, name),
        name in one && typeof one[name] === "object" ? node("div", { class: "tree" }, tree(one[name])) : words(one.words, side)));
    return node("div", { class: "place" }, node("code", {}, one.path), " ",
      one.note ? node("em", { class: "structure" }, one.note) : "", node("div", { class: "sides" }, ...sides));
  }

  function bubble(one) {
    const calls = (one.calls || []).map((call) =>
      node("div", { class: "tree" }, node("strong", {}, call.name), tree(call.arguments)));
    return node("div", { class: `bubble ${one.role}` }, node("div", { class: "role" }, one.role),
      one.text ? node("div", { class: "body" }, one.text) : "", ...calls);
  }

  function dialogue(one) {
    const side = (name) => node("div", {}, node("h3", {}, name), node("div", { class: "dialogue" }, ...one[name].map(bubble)));
    return [node("h2", {}, "Dialogue"), node("div", { class: "dialogue" }, ...one.asked.map(bubble)),
      node("div", { class: "sides" }, side("old"), side("new"))];
  }

  function figures(pair) {
    const shown = ["input", "output", "cached", "cost", "seconds", "first_byte"].filter(
      (name) => name in pair.old && name in pair.new && (pair.old[name] || pair.new[name]));
    if (!shown.length) return "";
    const cell = (value) => node("td", {}, String(Math.round(value * 1e6) / 1e6));
    const unit = { input: "tokens in", output: "tokens out", cached: "of them cached", cost: `cost (${data.currency})`, seconds: "seconds", first_byte: "seconds to the first byte" };
    return node("table", {}, node("tr", {}, node("th", {}, ""), node("th", {}, "old"), node("th", {}, "new")),
      ...shown.map((name) => node("tr", {}, node("td", {}, unit[name]), cell(pair.old[name]), cell(pair.new[name]))));
  }

  function inside(pair) {
    const parts = [];
    if (pair.remark) parts.push(node("p", { class: "dim" }, pair.remark));
    if (pair.request.length) parts.push(node("h2", {}, "The request differs"), ...pair.request.map(place));
    if (pair.differences.length) parts.push(node("h2", {}, "The answer differs"), ...pair.differences.map(place));
    if (pair.dialogue) parts.push(...dialogue(pair.dialogue));
    const used = figures(pair);
    if (used) parts.push(node("h2", {}, "Used"), used);
    return node("div", { class: "inside" }, ...(parts.length ? parts : [node("p", { class: "dim" }, "No difference but noise.")]));
  }

  function row(one) {
    const label = node("span", { class: `class ${one.cls}` }, one.cls);
    const test = node("span", { class: "test" }, one.test);
    if (!one.differences) return node("div", { class: "single" }, label, test, node("code", { class: "dim" }, one.name));
    const beside = [one.model, one.name === one.newName ? one.name : `${one.name} \u2192 ${one.newName}`];
    if (typeof one.similarity === "number") beside.push(`${Math.min(Math.floor(one.similarity * 100), one.similarity < 1 ? 99 : 100)}% alike`);
    if (one.how === "test and order" || one.how === "near miss") beside.push(`paired by ${one.how}`);
    const made = node("details", { class: "pair" },
      node("summary", {}, label, test, node("span", { class: "dim" }, beside.filter(Boolean).join(" \u00b7 "))));
    // A row is filled when it is opened: thousands of them must not be built at once.
    made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) made.append(inside(one)); });
    return made;
  }

  function show() {
    const wanted = chosen.test.toLowerCase();
    const found = rows.filter((one) => chosen.classes.has(one.cls) && one.test.toLowerCase().includes(wanted)
      && (!chosen.model || one.model === chosen.model));
    byId("pairs").replaceChildren(...found.slice(0, limit).map(row));
    byId("more").hidden = found.length <= limit;
    byId("shown").textContent = `${found.length} of ${rows.length} shown`;
  }

  function filters() {
    for (const [cls, number] of Object.entries(data.counts)) {
      if (!number) continue;
      const on = cls !== "equal" || number === rows.length;
      if (on) chosen.classes.add(cls);
      const button = node("button", { type: "button", class: cls, "data-class": cls, "aria-pressed": String(on) }, `${number} ${cls}`);
      button.addEventListener("click", () => {
        const now = !chosen.classes.has(cls);
        if (now) chosen.classes.add(cls); else chosen.classes.delete(cls);
        button.setAttribute("aria-pressed", String(now));
        limit = STEP;
        show();
      });
      byId("classes").append(button);
    }
    for (const model of [...new Set(data.pairs.map((pair) => pair.model))].filter(Boolean).sort()) {
      byId("model").append(node("option", { value: model }, model));
    }
    byId("test").addEventListener("input", (event) => { chosen.test = event.target.value; limit = STEP; show(); });
    byId("model").addEventListener("change", (event) => { chosen.model = event.target.value; limit = STEP; show(); });
    byId("more").addEventListener("click", () => { limit += STEP; show(); });
  }

  function about() {
    byId("title").textContent = data.title;
    byId("figures").append(...data.figures.map((line) => node("li", {}, line)));
    if (data.drift.length) {
      const line = (one) => node("tr", {}, node("td", { class: one.severity }, one.severity), node("td", {}, one.endpoint),
        node("td", {}, node("code", {}, one.path)), node("td", {}, one.change), node("td", {}, `${one.old} \u2192 ${one.new}`));
      byId("drift").append(node("h2", {}, "Drift: the shape of the answers, whatever they say"), node("table", {}, ...data.drift.map(line)));
      byId("drift").hidden = false;
    }
    if (data.unreadable.length) {
      byId("unreadable").append(node("h2", {}, "Could not be read"), ...data.unreadable.map((line) => node("p", {}, line)));
      byId("unreadable").hidden = false;
    }
  }

  about();
  filters();
  show();
})();
