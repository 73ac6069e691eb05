// Does a browser get the right file for its screen, and does nothing jump?
//
// Usage: node check.mjs PATH/TO/newsdesk [FOLDER FOR SCREENSHOTS]
//
// Starts `newsdesk demo` in an empty folder, opens examples/pictures/index.html in Chromium (CHROMIUM, or Debian's) at
// three screens, first with what is made on demand and then with the AVIF files that are made ahead, and looks at what
// was chosen (currentSrc), what came, and how far anything moved while it came (layout-shift entries).

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [binary, folder] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node check.mjs PATH/TO/newsdesk [FOLDER FOR SCREENSHOTS]");
  process.exit(2);
}
const shots = resolve(folder ?? mkdtempSync(join(tmpdir(), "pictures-")));
mkdirSync(shots, { recursive: true });
const page = pathToFileURL(fileURLToPath(new URL("../../examples/pictures/index.html", import.meta.url)));

const SCREENS = [
  { name: "phone", width: 390, height: 844, density: 3 },
  { name: "tablet", width: 820, height: 1180, density: 2 },
  { name: "desktop", width: 1440, height: 900, density: 1 },
];
// Pictures come late on purpose: what would jump, jumps.
const LATE_MS = 300;
// The first start draws pictures; a build without optimisation takes minutes for it.
const START_MS = 600_000;
const OFFERED_MS = 60_000;
// AVIF files take what CPU nobody else wants, and seconds of it each: a slow or busy machine is not waited for for ever.
const AVIF_MS = 1000 * Number(process.env.AVIF_SECONDS ?? 180);

let failures = 0;
let skipped = "";
let checks = 0;
function expect(good, what) {
  checks++;
  if (!good) {
    failures++;
    console.log(`FAILED: ${what}`);
  }
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** The demo, and its address. */
async function start(home, avif) {
  const address = `127.0.0.1:${await freePort()}`;
  const { PATH, HOME, LANG } = process.env;
  const demo = spawn(resolve(binary), ["demo"], { cwd: home, env: { PATH, HOME, LANG, BIND: address, RATE_LIMITS: "off", AVIF: avif }, stdio: "ignore" });
  const ended = new Promise((done) => demo.once("exit", done));
  const stop = async () => {
    demo.kill("SIGTERM");
    await ended;
  };
  const deadline = Date.now() + START_MS;
  for (;;) {
    try {
      if ((await fetch(`http://${address}/health/ready`)).ok) break;
    } catch {
      // Not yet.
    }
    if (demo.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error("the demo did not start");
    }
    await sleep(200);
  }
  return { api: `http://${address}`, stop };
}

async function get(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`);
  return answer.json();
}

const candidates = (srcset) => srcset.split(", ").map((one) => {
  const [url, width] = one.split(" ");
  return { url, width: Number.parseInt(width, 10) };
});

/** What is due in a place: the smallest file that has a pixel for each of the screen's, or the largest there is. */
function due(files, place, density) {
  const sorted = [...files].sort((a, b) => a.width - b.width);
  return sorted.find((file) => file.width >= place * density) ?? sorted.at(-1);
}

/** What the page says of each of its pictures, as the browser shows them. */
function look() {
  return [...document.querySelectorAll("picture")].map((picture) => {
    const img = picture.querySelector("img");
    const box = img.getBoundingClientRect();
    const fits = (source) => (!source.media || matchMedia(source.media).matches);
    return {
      currentSrc: img.currentSrc, complete: img.complete, natural: [img.naturalWidth, img.naturalHeight],
      box: [box.width, box.height], attributes: [img.width, img.height], position: img.style.objectPosition,
      sources: [...picture.querySelectorAll("source")].filter(fits)
        .map((source) => ({ type: source.type, srcset: source.srcset, sizes: source.sizes })),
    };
  });
}

/** The width of the place that `sizes` promises, in CSS pixels. */
function placeOf(sizes, screen) {
  for (const part of sizes.split(", ")) {
    const [, least, value] = part.match(/^(?:\(min-width: (\d+)px\) )?(\d+(?:px|vw))$/);
    if (least && screen.width < Number(least)) continue;
    const number = Number.parseInt(value, 10);
    return value.endsWith("vw") ? (screen.width * number) / 100 : number;
  }
  throw new Error(`no width in ${sizes}`);
}

async function open(browser, api, slug, screen, type) {
  const context = await browser.newContext({
    viewport: { width: screen.width, height: screen.height }, deviceScaleFactor: screen.density,
  });
  const tab = await context.newPage();
  await tab.addInitScript(() => {
    window.moved = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const rect = (box) => [box.x, box.y, box.width, box.height].map(Math.round).join(" ");
        const who = entry.sources.map(({ node, previousRect, currentRect }) => {
          const name = node?.nodeType === 1 ? node.outerHTML.slice(0, 60) : node?.textContent?.slice(0, 40);
          return `${name}: ${rect(previousRect)} to ${rect(currentRect)}`;
        });
        window.moved.push({ value: entry.value, who });
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  const answers = new Map();
  await tab.route("**/media/**", async (route) => {
    await sleep(LATE_MS);
    await route.continue();
  });
  tab.on("response", (response) => {
    if (response.url().includes("/media/")) answers.set(response.url(), [response.status(), response.headers()["content-type"]]);
  });
  await tab.goto(`${page}?api=${encodeURIComponent(api)}&story=${slug}`);
  await tab.waitForSelector("html[data-ready] picture");
  const before = await tab.evaluate(look);
  await tab.screenshot({ path: join(shots, `${screen.name}-${type.split("/")[1]}-before.png`) });
  const height = await tab.evaluate(() => document.documentElement.scrollHeight);
  for (let y = 0; y < height; y += screen.height / 2) {
    await tab.evaluate((to) => scrollTo(0, to), y);
    await sleep(120);
  }
  await tab.waitForFunction(() => [...document.images].every((img) => img.complete && img.naturalWidth > 0), null, { timeout: 60_000 });
  await tab.evaluate(() => scrollTo(0, 0));
  await sleep(500);
  // Before the screenshots: one of a whole page makes the window as long as the page.
  const shifts = await tab.evaluate(() => window.moved);
  const after = await tab.evaluate(look);
  await tab.screenshot({ path: join(shots, `${screen.name}-${type.split("/")[1]}.png`) });
  await tab.screenshot({ path: join(shots, `${screen.name}-${type.split("/")[1]}-whole.png`), fullPage: true });

  const at = `${screen.name}, ${type}`;
  const chosen = [];
  expect(after.length >= 4, `${at}: ${after.length} pictures`);
  after.forEach((picture, number) => {
    const name = `${at}, picture ${number + 1}`;
    const [best] = picture.sources;
    expect(best.type === type, `${name}: the best type is ${best.type}`);
    const place = placeOf(best.sizes, screen);
    const wanted = due(candidates(best.srcset), place, screen.density);
    expect(picture.currentSrc === wanted.url, `${name}: ${wanted.url} was due, ${picture.currentSrc} was chosen`);
    const [status, mediaType] = answers.get(picture.currentSrc) ?? [];
    expect(status === 200 && mediaType === type, `${name}: ${picture.currentSrc} came as ${status} ${mediaType}`);
    const needed = place * screen.density;
    expect(wanted.width <= needed * 2 || wanted.width <= 320, `${name}: ${wanted.width} pixels for ${needed}`);
    expect(before[number].box[1] > 0, `${name}: no space was reserved`);
    const [was, is] = [before[number].box, picture.box];
    expect(Math.abs(was[0] - is[0]) < 0.51 && Math.abs(was[1] - is[1]) < 0.51, `${name}: was ${was}, is ${is}`);
    expect(/^\d+(\.\d+)?% \d+(\.\d+)?%$/.test(picture.position), `${name}: no focal point`);
    chosen.push(`${wanted.width}w for ${Math.round(place)} × ${screen.density}`);
  });
  const moved = shifts.reduce((sum, { value }) => sum + value, 0);
  expect(moved === 0, `${at}: things moved by ${moved}: ${JSON.stringify(shifts, null, 1)}`);
  console.log(`${at}: ${[...new Set(chosen)].join(", ")}; layout shift ${moved}`);
  await context.close();
}

// A folder with a demo in it saves the drawing.
const home = process.env.DEMO_FOLDER ?? mkdtempSync(join(tmpdir(), "newsdesk-pictures-"));
const browserPath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
if (!browserPath) throw new Error("Chromium is not installed (Debian: apt-get install chromium)");
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
/** Opens the same story at every screen, once everything in it is offered as this type. */
async function lookAtAll(avif, type) {
  const { api, stop } = await start(home, avif);
  try {
    const { data } = await get(`${api}/delivery/v1/articles?limit=50&include=captions`);
    const story = data.find((one) => one.captions.length > 1);
    const images = async () => (await get(`${api}/delivery/v1/articles/${story.slug}`)).captions.map((one) => one.image);
    const all = (images) => images.every((image) => [image, ...image.crops].every((one) => one.sources[0].media_type === type));
    const patience = avif === "on" ? AVIF_MS : OFFERED_MS;
    const deadline = Date.now() + patience;
    while (!all(await images()) && Date.now() < deadline) await sleep(1000);
    if (avif === "on" && !all(await images())) {
      skipped = `; AVIF not looked at: its files were not made in ${patience / 1000} s (AVIF_SECONDS)`;
      return;
    }
    expect(all(await images()), `${type} was not offered in ${patience / 1000} s`);
    for (const screen of SCREENS) {
      await open(browser, api, story.slug, screen, type).catch((error) => expect(false, `${screen.name}: ${error}`));
    }
  } finally {
    await stop();
  }
}
try {
  await lookAtAll("off", "image/webp");
  // Made ahead, of everything that was uploaded before the start as well.
  await lookAtAll("on", "image/avif");
} finally {
  await browser.close();
  if (!process.env.DEMO_FOLDER) rmSync(home, { recursive: true, force: true });
}
console.log(`${failures === 0 ? "ok" : "FAILED"}: ${checks} checks, ${failures} failed${skipped}; screenshots in ${shots}`);
process.exit(failures === 0 ? 0 : 1);
