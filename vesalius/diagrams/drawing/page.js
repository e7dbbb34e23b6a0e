// The page of a picture: draws the scenes of the data, opens boxes in place, lights axes.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const NS = "http://www.w3.org/2000/svg";
const TITLE = 20;
const at = id => document.getElementById(id);
const stage = at("stage");
const state = { step: 0, open: new Set(), heat: false, dark: false, axis: null, sizes: {}, view: null };

function make(tag, attributes, parent) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (parent) parent.append(element);
  return element;
}

// -- opening a box in place: everything else makes room ------------------------------------

// Intervals that grow, along one direction; those that overlap grow together.
function growth(list) {
  const groups = [];
  for (const one of [...list].sort((a, b) => a.from - b.from)) {
    const last = groups[groups.length - 1];
    if (last && one.from < last.to) {
      last.to = Math.max(last.to, one.to);
      last.by = Math.max(last.by, one.by);
    } else groups.push({ ...one });
  }
  return x => groups.reduce((sum, g) =>
    sum + (x >= g.to ? g.by : x <= g.from ? 0 : g.by * (x - g.from) / (g.to - g.from)), x);
}

// The geometry of a scene with some boxes open: sizes, and a place for every point.
// `inside` are the keys of the frames around it, as the marks of a film know them.
function arrange(number, path, marks, inside = "") {
  const scene = data.scenes[number];
  const shapes = new Map(scene.shapes.map(shape => [shape.key, shape]));
  const open = new Map();
  for (const shape of scene.shapes) {
    const key = path + shape.key;
    if (shape.body !== undefined && state.open.has(key)) {
      const inner = arrange(shape.body, key + "/", marks, inside + shape.key + "-");
      open.set(shape.key, { inner, size: [inner.size[0], inner.size[1] + TITLE] });
    }
  }
  const grow = axis => growth([...open].map(([key, o]) => {
    const box = shapes.get(key).box, from = box[axis], to = box[axis + 2];
    return { from, to, by: Math.max(0, o.size[axis] - (to - from)) };
  }));
  const X = grow(0), Y = grow(1);
  const centre = box => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const moved = shape => {
    const [x, y] = centre(shape.box);
    return [X(x) - x, Y(y) - y];
  };
  for (const [key, o] of open) {
    const [x, y] = centre(shapes.get(key).box);
    o.at = [X(x) - o.size[0] / 2, Y(y) - o.size[1] / 2];
  }
  const across = scene.down ? 0 : 1, along = 1 - across;
  function point([x, y], owner, side, port, edge) {
    const shape = shapes.get(owner);
    if (!shape) return [X(x), Y(y)];
    const result = [X(x), Y(y)];
    const o = open.get(owner);
    if (o) {
      const places = side === "in" ? o.inner.ins : o.inner.outs;
      result[across] = o.at[across] + (scene.down ? 0 : TITLE) + places[port];
      if (edge) result[along] = o.at[along] + (side === "in" ? (scene.down ? TITLE : 0) : o.size[along]);
      return result;
    }
    const shift = moved(shape);
    result[across] = [x, y][across] + shift[across];
    if (edge) result[along] = [x, y][along] + shift[along];
    return result;
  }
  const size = [X(scene.size[0]), Y(scene.size[1])];
  const ports = (places, kind) => {
    const ends = scene.shapes.filter(shape => shape.look === kind);
    return places.map((place, k) => ends[k] ? point(scene.down ? [place, 0] : [0, place], ends[k].key)[across] : place);
  };
  return { scene, path, marks, inside, open, shapes, moved, point, X, Y, size, ins: ports(scene.ins, "input"), outs: ports(scene.outs, "output") };
}

// -- drawing -----------------------------------------------------------------------------------

const n = x => String(Math.round(x * 10) / 10);

function curve(a, b, down) {
  if (Math.abs(down ? a[0] - b[0] : a[1] - b[1]) < 0.25) return `L${n(b[0])} ${n(b[1])}`;
  if (down) {
    const h = (b[1] - a[1]) / 2;
    return `C${n(a[0])} ${n(a[1] + h)} ${n(b[0])} ${n(b[1] - h)} ${n(b[0])} ${n(b[1])}`;
  }
  const h = (b[0] - a[0]) / 2;
  return `C${n(a[0] + h)} ${n(a[1])} ${n(b[0] - h)} ${n(b[1])} ${n(b[0])} ${n(b[1])}`;
}

function drawText(text, [x, y], parent) {
  const element = make("text", { x: n(x), y: n(y), "text-anchor": text.anchor, class: text.role }, parent);
  for (const [word, italic, low, along] of text.runs) {
    const words = text.role === "axes" || text.role === "tube" ? word.split(/( )/) : [word];
    for (const part of words) {
      const span = make("tspan", { class: (italic ? "i" : "") + (low ? " s" : "") + (along ? " along" : "") }, element);
      if (low) span.setAttribute("dy", "3.5");
      if (words.length > 1 || text.role === "axes" || text.role === "tube") span.dataset.axis = part;
      span.textContent = part;
    }
  }
}

function group(kind, key, layout, title, parent) {
  const marks = layout.marks, own = layout.inside + key;
  const mark = (marks.goes.has(own) ? " goes" : "") + (marks.comes.has(own) ? " comes" : "");
  const g = make("g", { class: kind + mark, id: "x-" + layout.path + key }, parent);
  make("title", {}, g).textContent = title;
  g.dataset.tip = title;
  return g;
}

const fresh = (key, layout) => layout.marks.comes.has(layout.inside + key);

function draw(layout, parent) {
  const { scene, point } = layout;
  for (const region of scene.regions) {
    const g = group(`tube tube-${Math.min(region.depth, 3)}`, region.key, layout, region.title, parent);
    g.dataset.axes = JSON.stringify(region.axes);
    const [du, dv] = region.origin;
    let d = "";
    for (const [u0, u1, a0, b0, a1, b1, first, last] of region.slabs) {
      const turn = (u, v, owner) => {
        const p = scene.down ? [v + dv, u + du] : [u + du, v + dv];
        const result = [layout.X(p[0]), layout.Y(p[1])];
        const shape = layout.shapes.get(owner);
        if (shape) {
          const o = layout.open.get(owner), k = scene.down ? 1 : 0;
          result[k] = o ? o.at[k] + (owner === last ? 0 : o.size[k]) : p[k] + layout.moved(shape)[k];
        }
        return result;
      };
      const [p, q, r, s] = [turn(u0, a0, first), turn(u1, a1, last), turn(u1, b1, last), turn(u0, b0, first)];
      d += `M${n(p[0])} ${n(p[1])}${curve(p, q, scene.down)}L${n(r[0])} ${n(r[1])}${curve(r, s, scene.down)}Z`;
    }
    make("path", { d }, g);
    if (region.text) drawText(region.text, [layout.X(region.text.at[0]), layout.Y(region.text.at[1])], g);
  }
  for (const wire of scene.wires) {
    const g = group("wire", wire.key, layout, wire.title, parent);
    g.dataset.axes = JSON.stringify(wire.axes);
    let d = "", here = [0, 0];
    for (const [command, place, owner, side, port, edge] of wire.anchors) {
      const p = point(place, owner, side, port, edge);
      d += command === "M" ? `M${n(p[0])} ${n(p[1])}` : curve(here, p, scene.down);
      here = p;
    }
    if (wire.sleeve) make("path", { d, class: "sleeve" }, g);
    if (fresh(wire.key, layout)) make("path", { d, class: "fresh" }, g);
    for (const [a, b] of wire.marks) {
      const near = nearest(wire, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], scene);
      const [p, q] = [a, b].map(x => offset(layout, near, x));
      d += `M${n(p[0])} ${n(p[1])}L${n(q[0])} ${n(q[1])}`;
    }
    make("path", { d }, g);
    make("path", { d, class: "reach", style: "stroke:transparent;stroke-width:14" }, g);
    for (const dot of wire.dots) {
      const [x, y] = offset(layout, nearest(wire, dot, scene), dot);
      make("circle", { cx: n(x), cy: n(y), r: 3 }, g);
    }
    for (const text of wire.texts) {
      const base = scene.down ? [text.at[0] - 6, text.at[1] - 4] : [text.at[0], text.at[1] + 5];
      drawText(text, offset(layout, nearest(wire, base, scene), text.at), g);
    }
  }
  for (const shape of scene.shapes) drawShape(shape, layout, parent);
}

// The anchor that a mark on a string stands level with: the next one along the flow.
function nearest(wire, place, scene) {
  const across = scene.down ? 0 : 1, along = 1 - across;
  let best = wire.anchors[0], least = Infinity;
  for (const anchor of wire.anchors) {
    const far = Math.abs(anchor[1][along] - place[along]) + 4 * Math.abs(anchor[1][across] - place[across]);
    if (far < least) [best, least] = [anchor, far];
  }
  return best;
}

function offset(layout, anchor, place) {
  const [, base, owner, side, port, edge] = anchor;
  const moved = layout.point(base, owner, side, port, edge);
  return [moved[0] + place[0] - base[0], moved[1] + place[1] - base[1]];
}

function drawShape(shape, layout, parent) {
  const key = layout.path + shape.key, opened = layout.open.get(shape.key);
  const look = shape.look === "input" || shape.look === "output" ? "end" : opened ? "frame" : shape.look;
  const learned = shape.learned && !opened && look !== "dark" ? " learned" : "";
  const opens = shape.body !== undefined && !opened ? " opens" : "";
  const g = group(look + learned + opens, shape.key, layout, shape.title, parent);
  g.dataset.key = key;
  if (look !== "end") {
    g.setAttribute("tabindex", "0");
    g.setAttribute("role", shape.body !== undefined ? "button" : "img");
    g.setAttribute("aria-label", shape.title);
    if (shape.body !== undefined) g.setAttribute("aria-expanded", String(Boolean(opened)));
    const lines = [shape.title];
    if (shape.formula) lines.push(shape.formula);
    if (shape.cost) lines.push(`${shape.cost} FLOPs` + (state.heat ? ` = ${short(value(shape.flops))}` : ""));
    if (shape.body !== undefined) lines.push(opened ? "click or Enter: close" : "click or Enter: open");
    g.dataset.tip = lines.join("\n");
  }
  if (opened) {
    const [x, y] = opened.at, [w, h] = opened.size;
    const frame = { x: n(x), y: n(y), width: n(w), height: n(h), rx: 4, style: "pointer-events:all" };
    if (fresh(shape.key, layout)) make("rect", { ...frame, class: "fresh" }, g);
    make("rect", frame, g);
    const label = { ...shape.texts[0], anchor: "start", role: "title" };
    const ins = opened.inner.ins, aside = layout.scene.down && ins.length && ins[0] < shape.titled;
    drawText(label, [x + 8 + (aside ? ins[ins.length - 1] : 0), y + 14], g);
    draw(opened.inner, make("g", { transform: `translate(${n(x)} ${n(y + TITLE)})` }, g));
    return;
  }
  const [dx, dy] = layout.moved(shape), [left, top, right, bottom] = shape.box;
  const w = right - left, h = bottom - top;
  if (shape.points.length) {
    const points = shape.points.map(([x, y]) => `${n(x + dx)},${n(y + dy)}`).join(" ");
    if (fresh(shape.key, layout)) make("polygon", { points, class: "fresh" }, g);
    make("polygon", { points }, g);
  } else if (look !== "end") {
    const radius = look === "dot" || look === "scalar" ? Math.min(w, h) / 2 : 4;
    const box = { x: n(left + dx), y: n(top + dy), width: n(w), height: n(h), rx: n(radius) };
    if (fresh(shape.key, layout)) make("rect", { ...box, class: "fresh" }, g);
    make("rect", box, g);
    if (look === "folded") {
      const [a, b] = [top + dy + 4, bottom + dy - 4].map(n);
      make("path", { class: "fold", d: `M${n(left + dx + 3)} ${a}V${b}M${n(right + dx - 3)} ${a}V${b}` }, g);
    }
  }
  for (const text of shape.texts) drawText(text, [text.at[0] + dx, text.at[1] + dy], g);
  if (state.heat && shape.flops && look !== "end") heat(g, value(shape.flops));
}

// -- cost ------------------------------------------------------------------------------------------

function value(terms) {
  return terms.reduce((sum, [factor, atoms]) => sum + atoms.reduce((product, [atom, power]) => {
    let x;
    if (typeof atom === "string") x = state.sizes[atom] || 1;
    else {
      x = value(atom[1]) / value(atom[2]);
      x = atom[0] === "floor" ? Math.floor(x) : atom[0] === "ceil" ? Math.ceil(x) : x;
    }
    return product * x ** power;
  }, factor), 0);
}

const short = x => x >= 1e4 || (x && x < 1) ? x.toExponential(2) : String(Math.round(x));

let most = 1;
function heat(g, cost) {
  const warm = cost <= 1 ? 0 : Math.log(cost) / Math.log(Math.max(most, 2));
  g.classList.add("hot");
  g.dataset.cost = short(cost);
  g.style.setProperty("--heat", `hsl(${Math.round(48 - 40 * warm)} 95% ${Math.round(92 - 47 * warm)}%)`);
  g.style.setProperty("--heat-text", warm > 0.8 ? "#ffffff" : "#111111");
}

function variables() {
  const found = new Set();
  for (const scene of data.scenes) for (const shape of scene.shapes) for (const v of shape.variables || []) found.add(v);
  return [...found].sort();
}

for (const name of variables()) state.sizes[name] = /^[bh]$/.test(name) ? 8 : /^[nmt]/.test(name) ? 1024 : 64;

// -- the page ----------------------------------------------------------------------------------------

function theme() {
  const colours = data.themes[state.dark ? "dark" : data.theme === "dark" ? "light" : data.theme];
  for (const [name, colour] of Object.entries(colours)) document.documentElement.style.setProperty(`--v-${name}`, colour);
  at("dark").setAttribute("aria-pressed", String(state.dark));
}

let size = [1, 1];
function render() {
  const frame = data.frames[state.step];
  most = Math.max(2, ...data.scenes.flatMap(scene => scene.shapes.map(shape => shape.flops ? value(shape.flops) : 0)));
  const marks = { goes: new Set(frame.goes), comes: new Set(frame.comes) };
  const layout = arrange(frame.scene, state.step + "/", marks);
  size = layout.size;
  const focus = document.activeElement?.dataset?.key;
  const svg = make("svg", { class: "vesalius page", role: "group", "aria-label": layout.scene.name });
  draw(layout, svg);
  stage.replaceChildren(svg);
  if (focus) svg.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  captions(frame);
  axes();
  light(state.axis);
  show();
}

// What brought this frame, and what takes it to the next.
function captions(frame) {
  if (data.frames.length < 2) return;
  at("count").textContent = `${state.step + 1}/${data.frames.length}`;
  at("caption").textContent = frame.caption;
  at("back").disabled = state.step === 0;
  at("next").disabled = state.step + 1 === data.frames.length;
  const tell = (id, change) => {
    at(id).replaceChildren();
    if (!change) return;
    const add = (tag, text) => {
      if (!text) return;
      const element = document.createElement(tag);
      element.textContent = text;
      at(id).append(element);
    };
    add("b", [id === "came" ? "came by" : "goes by", change.sign, change.rule].join(" "));
    add("q", change.law);
    add("code", [change.grade, change.source].filter(Boolean).join(" · "));
  };
  tell("came", data.changes[state.step - 1]);
  tell("goes", data.changes[state.step]);
}

// At first the whole picture, unless nobody could read it then: then its beginning.
const READABLE = 0.6;
function show(whole = false) {
  const svg = stage.firstElementChild, box = stage.getBoundingClientRect();
  if (!state.view) {
    const fit = Math.min(box.width / size[0], box.height / size[1], 2.2);
    const scale = whole ? fit : Math.max(fit, READABLE);
    const w = box.width / scale, h = box.height / scale;
    const start = k => { const room = [w, h][k]; return room >= size[k] ? (size[k] - room) / 2 : 0; };
    state.view = [start(0), size[1] > h && !data.scenes[data.frames[state.step].scene].down ? (size[1] - h) / 2 : start(1), w, h];
  }
  svg.setAttribute("viewBox", state.view.map(n).join(" "));
}

function zoom(by, x, y) {
  const box = stage.getBoundingClientRect();
  const [left, top, w, h] = state.view;
  const fx = x === undefined ? 0.5 : (x - box.left) / box.width, fy = y === undefined ? 0.5 : (y - box.top) / box.height;
  const scale = Math.min(Math.max(by, 0.2), 5);
  state.view = [left + w * fx * (1 - scale), top + h * fy * (1 - scale), w * scale, h * scale];
  show();
}

function pan(dx, dy) {
  const box = stage.getBoundingClientRect();
  state.view[0] -= dx * state.view[2] / box.width;
  state.view[1] -= dy * state.view[3] / box.height;
  show();
}

function axes() {
  const known = new Map();
  const visit = (number, path) => {
    for (const [name, length] of data.scenes[number].axes) if (!known.has(name)) known.set(name, length);
    for (const shape of data.scenes[number].shapes) {
      if (shape.body !== undefined && state.open.has(path + shape.key)) visit(shape.body, path + shape.key + "/");
    }
  };
  visit(data.frames[state.step].scene, state.step + "/");
  at("axes").replaceChildren(...[...known].map(([name, length]) => {
    const button = document.createElement("button");
    button.className = "axis";
    button.dataset.axis = name;
    button.append(name);
    if (length !== name) {
      const span = document.createElement("span");
      span.textContent = ` : ${length}`;
      button.append(span);
    }
    button.setAttribute("aria-pressed", String(state.axis === name));
    button.onclick = () => { state.axis = state.axis === name ? null : name; render(); };
    return button;
  }));
}

// Light the strings and tubes of an axis, everywhere.
function light(name) {
  const svg = stage.firstElementChild;
  svg.classList.toggle("dimmed", Boolean(name));
  for (const g of svg.querySelectorAll("[data-axes]")) {
    g.classList.toggle("lit", Boolean(name) && JSON.parse(g.dataset.axes).includes(name));
  }
}

function toggle(key) {
  if (state.open.has(key)) state.open.delete(key); else state.open.add(key);
  state.view = null;
  at("open").setAttribute("aria-pressed", String(state.open.size > 0));
  render();
}

function openTo(depth) {
  state.open.clear();
  const visit = (number, path, left) => {
    if (!left) return;
    for (const shape of data.scenes[number].shapes) if (shape.body !== undefined) {
      state.open.add(path + shape.key);
      visit(shape.body, path + shape.key + "/", left - 1);
    }
  };
  data.frames.forEach((frame, k) => visit(frame.scene, k + "/", depth));
  at("open").setAttribute("aria-pressed", String(state.open.size > 0));
  state.view = null;
}

function boxAt(target) {
  const g = target.closest?.("[data-key]");
  if (!g) return null;
  const key = g.dataset.key;
  return g.classList.contains("opens") || g.classList.contains("frame") ? key : null;
}

function tell(target) {
  const g = target.closest?.("[data-tip]");
  at("tip").textContent = g ? g.dataset.tip : "";
}

const pointers = new Map();
let dragged = false;
stage.addEventListener("pointerdown", event => {
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  dragged = false;
});
window.addEventListener("pointermove", event => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX, event.clientY];
  if (pointers.size === 1) {
    if (!dragged && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4) return;
    pan(now[0] - before[0], now[1] - before[1]);
  } else {
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    const far = Math.hypot(before[0] - other[0], before[1] - other[1]), near = Math.hypot(now[0] - other[0], now[1] - other[1]);
    if (near) zoom(far / near, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }
  dragged = true;
  pointers.set(event.pointerId, now);
});
for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, event => pointers.delete(event.pointerId));
stage.addEventListener("click", event => {
  const key = dragged ? null : boxAt(event.target);
  if (key) toggle(key); else tell(event.target);
});
stage.addEventListener("pointerover", event => {
  if (pointers.size) return;
  const axis = event.target.dataset?.axis;
  light((axis && axis.trim()) || state.axis);
  tell(event.target);
});
at("axes").addEventListener("pointerover", event => light(event.target.closest("[data-axis]")?.dataset.axis || state.axis));
at("axes").addEventListener("pointerout", () => light(state.axis));
stage.addEventListener("focusin", event => tell(event.target));
stage.addEventListener("wheel", event => {
  event.preventDefault();
  zoom(Math.exp(event.deltaY / 400), event.clientX, event.clientY);
}, { passive: false });
new ResizeObserver(() => { state.view = null; show(); }).observe(stage);

const act = {
  in: () => zoom(1 / 1.3),
  out: () => zoom(1.3),
  fit: () => { state.view = null; show(true); },
  dark: () => { state.dark = !state.dark; theme(); },
  heat: () => {
    state.heat = !state.heat;
    at("heat").setAttribute("aria-pressed", String(state.heat));
    at("sizes").classList.toggle("on", state.heat);
    render();
  },
  open: () => { openTo(state.open.size ? 0 : 20); render(); },
  back: () => goTo(state.step - 1),
  next: () => goTo(state.step + 1),
};
function goTo(step) {
  if (step < 0 || step >= data.frames.length || step === state.step) return;
  state.step = step;
  state.view = null;
  render();
}
// In a film the arrows step, and with Shift they move the picture.
const steps = { ArrowLeft: act.back, ArrowRight: act.next, Home: () => goTo(0), End: () => goTo(data.frames.length - 1) };
at("came").onclick = act.back;
at("goes").onclick = act.next;
for (const [id, action] of Object.entries(act)) at(id).onclick = action;
const film = data.frames.length > 1;
const keys = { "+": "in", "=": "in", "-": "out", "0": "fit", d: "dark", h: "heat", o: "open", "[": "back", "]": "next" };
document.addEventListener("keydown", event => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = boxAt(event.target);
  if (box && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); toggle(box); return; }
  if (event.key === "Escape") { state.axis = null; render(); return; }
  if (film && !event.shiftKey && steps[event.key]) { event.preventDefault(); steps[event.key](); return; }
  const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
  if (step) { event.preventDefault(); pan(...step); return; }
  if (keys[event.key]) act[keys[event.key]]();
});

for (const [name, start] of Object.entries(state.sizes)) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "number", min: 1, value: start, name });
  input.oninput = () => { state.sizes[name] = Math.max(1, Number(input.value) || 1); render(); };
  label.append(`${name} = `, input);
  at("sizes").append(label);
}
at("sizes").onsubmit = event => event.preventDefault();
for (const id of ["back", "next", "film"]) at(id).hidden = !film;
at("open").hidden = !data.scenes.some(scene => scene.shapes.some(shape => shape.body !== undefined));
state.dark = data.theme === "dark" || matchMedia("(prefers-color-scheme: dark)").matches;
theme();
openTo(data.depth);
render();
})();
