"use strict";
// Draws the contact sheet from the JSON in the page. Texts are set as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const standings = new Map(data.standings.map((s) => [s.code, s]));
  const marks = { good: "✓", calm: "○", look: "?", bad: "✕", doubt: "!" };
  const SVG = "http://www.w3.org/2000/svg";

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const mark = (tone) => {
    const element = make("span", "mark", marks[tone]);
    element.setAttribute("aria-hidden", "true");
    return element;
  };
  // Searching ignores case and accents.
  const letters = { "đ": "d", "ð": "d", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "þ": "th", "ħ": "h", "ı": "i" };
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()
    .replace(/[đðłøæœßþħı]/gu, (letter) => letters[letter]);

  // --- cards ---

  // Images are decoded only when they come near the viewport.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      show(entry.target);
    }
  }, { rootMargin: "800px" });
  const show = (frame) => {
    const img = frame.querySelector("img");
    if (img && !img.hasAttribute("src")) img.src = data.cards[Number(frame.dataset.card)].thumbnail;
  };

  const faces = (card) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${card.size[0]} ${card.size[1]}`);
    svg.setAttribute("aria-hidden", "true");
    card.faces.forEach(([x, y, width, height], index) => {
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

  // Allows line breaks after the folders of a path and the parts of its name.
  const breakable = (path) => path.split(/(?<=[/\\_-])/u).flatMap((part, index) =>
    index === 0 ? [part] : [document.createElement("wbr"), part]);

  const frame = (card, index) => {
    if (!card.thumbnail) {
      const none = make("div", "frame");
      none.append(make("div", "blank", "No image to show"));
      return none;
    }
    const box = make("button", "frame");
    box.type = "button";
    box.title = "Enlarge";
    box.dataset.card = index;
    const img = make("img");
    img.alt = `Image of ${card.name}${card.seen ? `: ${card.seen}` : ""}`;
    img.decoding = "async";
    box.append(img);
    if (card.faces.length > 0 && card.size[0] > 0) box.append(faces(card));
    near.observe(box);
    return box;
  };

  const draw = (card, index) => {
    const { label, tone } = standings.get(card.standing);
    const item = make("li", tone);
    item.dataset.state = card.standing;
    const text = make("div", "text");
    const name = make("h3", "", card.name);
    name.dir = "auto";
    const state = make("p", "state");
    const word = make("b", "", ` ${label}`);
    word.prepend(mark(tone));
    state.append(word);
    const details = [card.seen, card.cost].filter(Boolean).join(" · ");
    if (details) state.append(make("span", "", details));
    text.append(name, state);
    if (card.reasons.length > 0) {
      const list = make("ul");
      for (const reason of card.reasons) list.append(make("li", "", reason));
      text.append(list);
    }
    for (const [column, value] of card.details ?? []) text.append(make("p", "detail", `${column}: ${value}`));
    const file = make("p", "file");
    const path = make("bdi");
    path.append(...breakable(card.source));
    file.append(path);
    if (card.size[0] > 0) file.append(" ", make("span", "", `${card.size[0]} × ${card.size[1]} px`));
    text.append(file);
    if (card.asset_id) {
      const id = make("button", "id", card.asset_id);
      id.type = "button";
      id.title = "Copy";
      id.setAttribute("aria-label", `Copy asset id ${card.asset_id} of ${card.name}`);
      text.append(id);
    }
    item.append(frame(card, index), text);
    return item;
  };

  // --- filtering ---

  const chosen = { q: "", state: "", sort: "" };
  const items = [];
  const haystack = data.cards.map((c) => plain([c.name, c.source, c.asset_id ?? "", c.character ?? "", ...c.reasons,
    ...(c.details ?? []).map(([, value]) => value)].join("\n")));
  const order = new Map(data.standings.map((s, place) => [s.code, place]));
  const sorted = {
    name: (a, b) => data.cards[a].name.localeCompare(data.cards[b].name),
    standing: (a, b) => order.get(data.cards[a].standing) - order.get(data.cards[b].standing) || a - b,
  };
  const fitting = () => {
    const needle = plain(chosen.q.trim());
    const found = [...data.cards.keys()].filter((index) =>
      (!chosen.state || data.cards[index].standing === chosen.state) && haystack[index].includes(needle));
    return sorted[chosen.sort] ? found.sort(sorted[chosen.sort]) : found;
  };

  // The page contains only the cards scrolled to so far: a large cast stays quick to filter.
  const CHUNK = 120;
  let matches = [];
  let shown = 0;
  const grow = (count) => {
    const some = document.createDocumentFragment();
    const to = Math.min(shown + count, matches.length);
    for (; shown < to; shown += 1) {
      const index = matches[shown];
      items[index] ??= draw(data.cards[index], index);
      some.append(items[index]);
    }
    $("cards").append(some);
    $("more").hidden = shown === matches.length;
    // Observing it again fires again if it is still near.
    ahead.disconnect();
    ahead.observe($("more"));
  };
  const ahead = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) grow(CHUNK);
  }, { rootMargin: "1600px" });

  const apply = () => {
    matches = fitting();
    shown = 0;
    $("cards").replaceChildren();
    grow(CHUNK);
    const all = data.cards.length;
    $("count").textContent = matches.length === all
      ? `${all} character${all === 1 ? "" : "s"}` : `${matches.length} of ${all}`;
    $("none").hidden = matches.length > 0;
    for (const button of $("filters").children) {
      button.setAttribute("aria-pressed", String(button.dataset.state === chosen.state));
    }
  };

  const choose = (change) => {
    Object.assign(chosen, change);
    apply();
    const hash = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value)).toString();
    history.replaceState(null, "", hash ? `#${hash}` : "#");
  };

  // `#q=…&state=…` links to a filtered view.
  const fromAddress = () => {
    const hash = new URLSearchParams(location.hash.slice(1));
    const state = hash.get("state") ?? "";
    const sort = hash.get("sort") ?? "";
    Object.assign(chosen, { q: hash.get("q") ?? "", state: standings.has(state) ? state : "", sort: sorted[sort] ? sort : "" });
    $("q").value = chosen.q;
    $("sort").value = chosen.sort;
    apply();
  };

  const filter = (state, label, tone, count) => {
    const button = make("button", tone);
    button.type = "button";
    button.dataset.state = state;
    if (tone) button.append(mark(tone));
    button.append(make("span", "", label), " ", make("b", "", String(count)));
    button.addEventListener("click", () => choose({ state: chosen.state === state ? "" : state }));
    return button;
  };

  const counts = new Map();
  for (const card of data.cards) counts.set(card.standing, (counts.get(card.standing) ?? 0) + 1);
  $("filters").append(filter("", "All", "", data.cards.length));
  for (const { code, label, tone } of data.standings) {
    if (counts.has(code)) $("filters").append(filter(code, label, tone, counts.get(code)));
  }

  // --- user actions ---

  $("q").addEventListener("input", () => choose({ q: $("q").value }));
  $("sort").addEventListener("change", () => choose({ sort: $("sort").value }));
  $("clear").addEventListener("click", () => {
    $("q").value = "";
    choose({ q: "", state: "" });
    $("q").focus();
  });
  addEventListener("hashchange", () => { if (location.hash !== "#sheet") fromAddress(); });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== $("q") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      $("q").focus();
    }
  });
  $("more").addEventListener("click", () => grow(CHUNK));
  addEventListener("beforeprint", () => {
    grow(matches.length);
    document.querySelectorAll(".frame").forEach(show);
  });

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Pages opened from a file may have no clipboard API: fall back to execCommand.
      const area = make("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  // --- taking things along ---

  const said = (text) => {
    $("said").textContent = text;
    setTimeout(() => { $("said").textContent = ""; }, 4000);
  };
  $("ids").hidden = !data.cards.some((card) => card.asset_id);
  $("ids").addEventListener("click", async () => {
    const rows = matches.map((index) => data.cards[index]).filter((card) => card.asset_id);
    const done = await copy(rows.map((card) => `${card.name}\t${card.asset_id}`).join("\n"));
    const before = $("ids").textContent;
    $("ids").textContent = done ? `Copied ${rows.length}` : "Not allowed";
    said(done ? `Copied ${rows.length} ids` : "The browser did not allow copying");
    setTimeout(() => { $("ids").textContent = before; }, 1500);
  });
  // A table for spreadsheets: no cell may be taken for a formula.
  const cell = (text) => `"${(/^[=+\-@]/u.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const toFix = data.cards.filter((card) => ["look", "bad"].includes(standings.get(card.standing).tone) && card.reasons.length);
  $("fixes").hidden = toFix.length === 0;
  $("fixes").addEventListener("click", () => {
    const rows = toFix.flatMap((card) => card.reasons.map((reason) => {
      const at = reason.indexOf(": ");
      const [what, fix] = at < 0 ? [reason, ""] : [reason.slice(0, at), reason.slice(at + 2)];
      return [card.source, card.name, standings.get(card.standing).label, what, fix].map(cell).join(",");
    }));
    const csv = `\uFEFFfile,name,standing,reason,what to do\r\n${rows.join("\r\n")}\r\n`;
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    link.download = "fixes.csv";
    link.click();
    URL.revokeObjectURL(link.href);
    said(`Saved ${rows.length} fixes`);
  });

  // --- one image, large ---

  $("cards").addEventListener("click", (event) => {
    const box = event.target.closest("button.frame");
    if (!box) return;
    const card = data.cards[Number(box.dataset.card)];
    const large = make("div", "frame");
    const img = make("img");
    img.src = card.thumbnail;
    img.alt = `Image of ${card.name}`;
    large.append(img);
    if (card.faces.length > 0 && card.size[0] > 0) large.append(faces(card));
    $("large-frame").replaceChildren(large);
    $("large-name").textContent = card.name;
    $("large-seen").textContent = [standings.get(card.standing).label, card.seen].filter(Boolean).join(" · ");
    document.querySelector(".legend").hidden = card.faces.length < 2;
    const source = card.original ? make("a", "", card.source) : make("span", "", card.source);
    if (card.original) {
      source.href = card.original;
      source.rel = "noreferrer";
      source.target = "_blank";
    }
    $("large-source").replaceChildren(source);
    $("large").showModal();
  });
  // A click beside the image closes it, as Escape does.
  $("large").addEventListener("click", (event) => { if (event.target === $("large")) $("large").close(); });

  $("cards").addEventListener("click", async (event) => {
    const button = event.target.closest(".id");
    if (!button || button.classList.contains("done")) return;
    const id = button.textContent;
    const done = await copy(id);
    button.focus();
    $("said").textContent = done ? `Copied ${id}` : "The browser did not allow copying";
    if (!done) return;
    button.classList.add("done");
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = id;
      button.classList.remove("done");
      $("said").textContent = "";
    }, 1200);
  });

  fromAddress();
})();
