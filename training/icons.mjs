// icons.mjs OUT: draws the icons that standard input names, one `SET_NAME.png` a line, 256 px wide, into OUT.
// npm i @resvg/resvg-js@2 @iconify-json/{noto,fluent-emoji-flat,twemoji}
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Resvg } from "@resvg/resvg-js";

const require = createRequire(import.meta.url);
const out = process.argv[2];
mkdirSync(out, { recursive: true });
for (const file of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const [set, name] = file.replace(/\.png$/, "").split("_");
  const icons = require(`@iconify-json/${set}/icons.json`);
  const { body, left = 0, top = 0, width = icons.width ?? 16, height = icons.height ?? 16 } = icons.icons[name];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${left} ${top} ${width} ${height}">${body}</svg>`;
  writeFileSync(`${out}/${file}`, new Resvg(svg, { fitTo: { mode: "width", value: 256 } }).render().asPng());
}
