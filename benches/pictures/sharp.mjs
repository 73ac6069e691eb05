// The other side: sharp with its defaults, one picture after the other. Prints CPU ms and bytes of each, then the peak in KiB.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import sharp from "sharp";

sharp.concurrency(1);
sharp.cache(false);
const [format, out, ...files] = process.argv.slice(2);
for (const file of files) {
  const original = readFileSync(file);
  const before = process.cpuUsage();
  const made = await sharp(original).resize(1280)[format]().toBuffer();
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1000, made.length);
  const extension = format === "jpeg" ? "jpg" : format;
  writeFileSync(join(out, basename(file).replace(/jpg$/, extension)), made);
}
// Not resourceUsage().maxRSS: a program inherits that from the one that started it.
console.log(readFileSync("/proc/self/status", "utf8").match(/VmHWM:\s*(\d+) kB/)[1]);
