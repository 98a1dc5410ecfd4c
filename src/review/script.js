"use strict";
// Shows one image at a time. Texts are set as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const { items, decisions } = JSON.parse($("data").textContent);
  const words = { approved: "✓ Approved", rejected: "✕ Rejected" };
  const SVG = "http://www.w3.org/2000/svg";
  // The token in the address is used up.
  history.replaceState(null, "", "/");

  let at = Math.max(decisions.indexOf(null), 0);
  let ended = false;
  let made = []; // the items decided here, by index, latest last

  // --- images ---

  // The panes of each item: its image and, for a duplicate, the image to compare it with.
  const pictures = new Map();
  const picture = (index) => {
    if (!pictures.has(index)) {
      const item = items[index];
      const own = pane(`/picture/${index}`, item);
      own.append(boxes(item));
      const both = item.beside ? [own, pane(`/beside/${index}`, item.beside)] : [own];
      if (item.beside) both.forEach((each, place) => each.append(caption([item, item.beside][place])));
      pictures.set(index, both);
    }
    return pictures.get(index);
  };
  const pane = (src, { name }) => {
    const pane = document.createElement("div");
    pane.className = "pane";
    const img = new Image();
    img.alt = `Image of ${name}`;
    img.addEventListener("error", () => missing(pane, src));
    img.src = src;
    pane.append(img);
    return pane;
  };
  const caption = ({ name, source }) => {
    const text = document.createElement("figcaption");
    const who = document.createElement("bdi");
    who.textContent = name;
    text.append(who);
    text.title = source;
    return text;
  };
  const missing = async (pane, src) => {
    let why = "The image can't be shown.";
    try {
      const reply = await fetch(src);
      if (!reply.ok) why = await reply.text();
    } catch {
      why = "castline is not responding.";
    }
    const blank = document.createElement("p");
    blank.className = "blank";
    blank.textContent = why;
    pane.replaceChildren(blank);
  };
  const boxes = ({ size, faces }) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    svg.setAttribute("aria-hidden", "true");
    faces.forEach(([x, y, width, height], index) => {
      for (const layer of ["under", "over"]) {
        const rect = document.createElementNS(SVG, "rect");
        rect.setAttribute("class", index === 0 ? layer : `${layer} other`);
        const place = { x, y, width, height, rx: Math.min(width, height) * 0.06 };
        for (const [key, value] of Object.entries(place)) rect.setAttribute(key, value);
        svg.append(rect);
      }
    });
    return svg;
  };

  // --- showing ---

  const show = () => {
    const item = items[at];
    const open = decisions.filter((decision) => decision === null).length;
    $("place").textContent = `${at + 1} of ${items.length} · ${open === 0 ? "all decided" : `${open} open`}`;
    $("progress").max = items.length;
    $("progress").value = items.length - open;
    $("stage").replaceChildren(...picture(at));
    $("name").textContent = item.name;
    $("reasons").replaceChildren(...item.reasons.map((reason) => {
      const line = document.createElement("li");
      line.textContent = reason;
      return line;
    }));
    $("source").textContent = item.source;
    $("size").textContent = `· ${item.size[0]} × ${item.size[1]} px${item.seen && ` · ${item.seen}`}`;
    const decision = decisions[at];
    const yes = item.unsuitable ? "✓ Overridden" : words.approved;
    $("said").textContent = decision === "approved" ? yes : decision ? words[decision] : item.unsuitable ? "Judged unsuitable" : "";
    $("approve").querySelector("span").textContent = item.unsuitable ? "Override" : "Approve";
    $("earlier").textContent = item.earlier ?? "";
    $("earlier").hidden = !item.earlier;
    $("said").className = decision ?? "";
    $("back").disabled = at === 0;
    $("next").disabled = at === items.length - 1;
    $("undo").disabled = made.length === 0 && !decision;
    for (const near of [at + 1, at + 2, at - 1]) if (near >= 0 && near < items.length) picture(near);
    for (const index of pictures.keys()) if (Math.abs(index - at) > 4) pictures.delete(index);
  };
  const go = (index) => {
    at = Math.min(Math.max(index, 0), items.length - 1);
    show();
  };

  // --- deciding ---

  const problem = (text) => {
    $("problem").textContent = text;
    $("problem").hidden = !text;
  };
  const post = async (path, body) => {
    let reply;
    try {
      reply = await fetch(path, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      });
    } catch {
      throw new Error("castline is not responding; start castline review again");
    }
    if (!reply.ok) throw new Error(await reply.text());
    return reply.json();
  };
  // Sent one after the other: the last decision counts.
  let queue = Promise.resolve();
  const keep = (index, decision) => {
    const before = decisions[index];
    decisions[index] = decision;
    queue = queue.then(() => post("/decide", { item: index, decision })).then(() => problem(""), (error) => {
      decisions[index] = before;
      problem(`${items[index].name} was not saved: ${error.message}`);
      go(index);
    });
  };
  const decide = (decision) => {
    made = [...made.filter((other) => other !== at), at];
    keep(at, decision);
    // Go to the next undecided item, wrapping around to the beginning.
    const order = [...items.keys()].map((step) => (at + 1 + step) % items.length);
    const next = order.find((index) => decisions[index] === null);
    go(next ?? at);
    if (next === undefined) $("done").focus();
  };
  // Undoes the decision on the item shown, or else the latest decision.
  const undo = () => {
    const index = decisions[at] ? at : made.at(-1);
    if (index === undefined) return;
    made = made.filter((other) => other !== index);
    keep(index, null);
    go(index);
  };
  const done = async () => {
    await queue;
    if (!$("problem").hidden) return;
    try {
      const { approved, rejected, open } = await post("/done", {});
      ended = true;
      for (const id of ["main", "keys", "done", "progress", "place"]) $(id).hidden = true;
      $("tally").textContent = `${approved} approved, ${rejected} rejected, ${open} left open.`;
      $("end").hidden = false;
      $("end").focus();
    } catch (error) {
      problem(error.message);
    }
  };

  const acts = {
    approve: () => decide("approved"),
    reject: () => decide("rejected"),
    undo,
    back: () => go(at - 1),
    next: () => go(at + 1),
    done,
  };
  for (const [id, act] of Object.entries(acts)) $(id).addEventListener("click", act);
  const keys = { a: "approve", r: "reject", u: "undo", ArrowLeft: "back", ArrowRight: "next" };
  addEventListener("keydown", (event) => {
    if (ended || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    if (!$(act).disabled) acts[act]();
  });
  show();
})();
