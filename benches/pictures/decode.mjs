// Decodes both sides' files alike, to PNG, for the comparison.
import { mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import sharp from "sharp";

const [out, ...files] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
for (const file of files) {
  await sharp(file)
    .png({ compressionLevel: 1 })
    .toFile(join(out, `${basename(dirname(file))}-${basename(file)}.png`));
}
