// Writes docs/images anew: each page of the console with the data of a simulated month.
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launch, open, signIn } from "./browser.js";
import { startWithHistory } from "./gateway.js";
import { encode } from "./png.js";
import { findPages } from "./walk.js";

const folder = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const width = 1280;
const maxHeight = 1500; // of a picture; the rest of a longer page is left out

const cleanUps = [];
try {
  const gateway = await startWithHistory({ after: (cleanUp) => cleanUps.unshift(cleanUp) });
  const browser = await launch();
  cleanUps.unshift(() => browser.close());
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) if (name.startsWith("console-")) await rm(folder + name);
  for (const colorScheme of ["light", "dark"]) {
    const { context, page } = await open(browser, gateway.origin, { colorScheme, viewport: { width, height: 800 }, timezoneId: "UTC" });
    await signIn(page, gateway.token);
    if (colorScheme === "dark") await picture(page, "console-overview-dark");
    else {
      await findPages(page, async (path) => {
        if (!path.includes("?")) await picture(page, "console-" + nameOf(path));
      });
      await page.goto("sign-in");
    }
    await context.close();
  }
} finally {
  for (const cleanUp of cleanUps) await cleanUp();
}

/** "renewals" is of the list, "renewal" of one of it. */
function nameOf(path) {
  if (path === "./") return "overview";
  const [section, ...rest] = path.split("/");
  return rest.length > 0 ? section.replace(/s$/, "") : section;
}

async function picture(page, name) {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  const png = await page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, maxHeight) } });
  const pixels = await page.context().newPage();
  const rgba = await pixels.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const drawing = canvas.getContext("2d");
    drawing.drawImage(image, 0, 0);
    const { data: values } = drawing.getImageData(0, 0, image.width, image.height);
    let text = "";
    for (let i = 0; i < values.length; i += 32768) text += String.fromCharCode(...values.subarray(i, i + 32768));
    return btoa(text);
  }, png.toString("base64"));
  await pixels.close();
  const pixelValues = Buffer.from(rgba, "base64");
  const small = encode(pixelValues, width, pixelValues.length / 4 / width);
  await writeFile(`${folder}${name}.png`, small.length < png.length ? small : png);
  console.log(`docs/images/${name}.png: ${Math.ceil(Math.min(small.length, png.length) / 1024)} KiB`);
}
