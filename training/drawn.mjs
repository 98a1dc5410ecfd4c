// drawn.mjs OUT: pictures out of npm packages, 320 px PNG. OUT/avatars: DiceBear's, one face each, in fifteen styles, with
// other seeds than the corpus; OUT/icons: things and signs that show no face.
// npm i @dicebear/core@9.4.3 @dicebear/collection@9.4.3 @resvg/resvg-js@2 @iconify-json/{noto,fluent-emoji-flat,twemoji,game-icons}
import { createRequire } from "node:module"; import { mkdirSync, writeFileSync } from "node:fs";
import { createAvatar } from "@dicebear/core"; import * as styles from "@dicebear/collection"; import { Resvg } from "@resvg/resvg-js";
const require = createRequire(import.meta.url), out = process.argv[2];
mkdirSync(`${out}/avatars`, { recursive: true }); mkdirSync(`${out}/icons`, { recursive: true });
const png = (path, svg) => writeFileSync(path, new Resvg(svg, { fitTo: { mode: "width", value: 320 } }).render().asPng());

for (const style of "micah personas bigSmile notionists miniavs pixelArt croodles bottts toonHead dylan adventurer lorelei openPeeps avataaars bigEars".split(" "))
  for (let i = 0; i < 12; i++) png(`${out}/avatars/${style}-${i}.png`, createAvatar(styles[style], { seed: `train-${style}${i}`, size: 320 }).toString());

let state = 5; const random = () => (state = (state * 48271) % 2147483647) / 2147483647; // the same pictures each time
const shuffled = list => { list = [...list]; for (let i = list.length - 1; i > 0; i--) { const k = Math.floor(random() * (i + 1)); [list[i], list[k]] = [list[k], list[i]]; } return list; };
const face = /face|mask|doll|moai|teddy|statue|jack-o|skull|robot|alien|ghost|goblin|ogre|joker|perform|frame|monkey|gorilla|orangutan|snowman|dragon|unicorn|person|people|man|woman|men|women|family|couple|restroom|baby|child|toilet|fairy|santa|superhero|bust|head|crossbones/;
const people = /skull|head|mask|man|men|person|helm|character|knight|warrior|monk|elf|orc|troll|goblin|demon|devil|vampire|zombie|ghost|skeleton|witch|wizard|king|queen|prince|pirate|ninja|samurai|barbarian|robot|cyborg|golem|gargoyle|angel|fairy|mermaid|medusa|child|baby|girl|boy|lady|portrait|imp|ogre|mummy|spectre|reaper|santa|jack|scarecrow|totem|idol|moai|sphinx|pharaoh|anubis|cowl|hood|eye|face|dwarf|giant|minotaur|alien|android|mecha|droid|haunt|visage|bust|avatar|smil|laugh|grin|scream|player|guard|hunter|thief|rogue|cleric|priest|nun|gladiator|spartan|hero|villain|clown|jester|puppet|doll|monster|beast|brute|fiend|gorgon|harpy|satyr|centaur|lizard|toad|frog|kid|family|couple|team|crowd|public|speaker|doctor|nurse|sick|sleep|pray|meditat|wise|old|beard|hair|mouth|lip|tooth|teeth|fang|jaw|ear|nose|ape|monkey|gorilla|imprison|prison|hang|carnyx|vest|robe|soul|spirit|astronaut|diver|pilot|cowboy|police|soldier|judge|farmer|cook|chef/;
function icon(set, icons, name, tint) {
  const { body, hidden, left = 0, top = 0, width = icons.width ?? 16, height = icons.height ?? 16 } = icons.icons[name] ?? { hidden: true };
  if (!hidden) png(`${out}/icons/${set}-${name}.png`, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${left} ${top} ${width} ${height}">${body.replaceAll("currentColor", tint)}</svg>`);
}
for (const set of ["noto", "fluent-emoji-flat", "twemoji"]) {
  const icons = require(`@iconify-json/${set}/icons.json`), { categories } = require(`@iconify-json/${set}/metadata.json`);
  for (const [kind, names] of Object.entries(categories)) {
    // A drawn animal's face may stand for a character: neither a face to learn nor the lack of one.
    const most = /Objects|Symbols|Food|Travel|Activities/.test(kind) ? 60 : 0;
    for (const name of shuffled(names.filter(n => !face.test(n))).slice(0, most)) icon(set, icons, name, "#000");
  }
}
const icons = require("@iconify-json/game-icons/icons.json");
for (const name of shuffled(Object.keys(icons.icons).filter(n => !people.test(n))).slice(0, 700)) icon("game-icons", icons, name, `hsl(${Math.floor(360 * random())} ${Math.floor(100 * random())}% ${Math.floor(100 * random())}%)`);
