// gather.mjs: draws what standard input lists as JSON, [["icon" | "gen", set or style, name, SVG or null, file], …], 288 px wide.
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

// The same people each time.
let state = 7;
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;

const require = createRequire(import.meta.url);
const { Resvg } = require("@resvg/resvg-js");
const { generate, faceToSvgString } = await import("facesjs");
const multiavatar = require("@multiavatar/multiavatar");
const { generateFromString } = require("generate-avatar");
const Avatars = require("@dicebear/avatars").default;
const sprites = style => seed => new Avatars(require(`@dicebear/avatars-${style}-sprites`).default, {}).create(seed);
const styles = {
  multiavatar: seed => (multiavatar.default ?? multiavatar)(seed, true),
  faces: seed => faceToSvgString(generate({}, { gender: seed.slice(1) % 2 ? "male" : "female" })),
  genav: generateFromString,
  male: sprites("male"),
  female: sprites("female"),
  human: sprites("human"),
};

function icon(set, name) {
  const icons = require(`@iconify-json/${set}/icons.json`);
  const { body, left = icons.left ?? 0, top = icons.top ?? 0, width = icons.width ?? 16, height = icons.height ?? 16 } = icons.icons[name];
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" color="#222" viewBox="${left} ${top} ${width} ${height}" width="288" height="288">${body}</svg>`;
}

for (const [kind, set, name, given, file] of JSON.parse(readFileSync(0, "utf8"))) {
  const svg = given ?? (kind === "icon" ? icon(set, name) : styles[set](name));
  writeFileSync(file, new Resvg(svg, { fitTo: { mode: "width", value: 288 } }).render().asPng());
}
