"use strict";
// Draws one slice of every image of the page, and lets the reader scroll. What it reads is written
// by viewer.py; nothing is loaded from anywhere else.
(() => {
  const scan = JSON.parse(document.getElementById("scan").textContent);
  const sides = 16; // CSS pixels beside an image, for R and L
  const below = 44; // under an image: slice, scale bar, colour bar and its numbers
  const font = "11px system-ui, 'DejaVu Sans', sans-serif";
  const state = { slice: scan.first_slice, pointer: null, outlines: true, levels: [] };
  const panels = [];
  const at = (id) => document.getElementById(id);

  // Unpacking -------------------------------------------------------------------------------

  function bytesOf(text) {
    const packed = atob(text);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    return bytes;
  }

  async function unpack(image) {
    const stream = new Blob([bytesOf(image.data)]).stream();
    const plain = stream.pipeThrough(new DecompressionStream("gzip"));
    const planes = new Uint8Array(await new Response(plain).arrayBuffer());
    const count = planes.length / 2;
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const stored = planes[i] + 256 * planes[count + i];
      values[i] = stored === image.nothing ? NaN : image.lowest + image.step * stored;
    }
    image.values = values;
    image.data = null;
  }

  // Pixels ----------------------------------------------------------------------------------

  function valueAt(image, y, x) {
    return image.values[(state.slice * scan.height + y) * scan.width + x];
  }

  function colourIndex(image, value) {
    const [low, high] = image.window;
    return Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low))));
  }

  // Black where nothing was computed.
  function paint(image, target) {
    const table = scan.colours[image.colour_map];
    const size = scan.height * scan.width;
    const first = state.slice * size;
    const pixels = target.getContext("2d").createImageData(scan.width, scan.height);
    for (let i = 0; i < size; i++) {
      const value = image.values[first + i];
      pixels.data[4 * i + 3] = 255; // opaque; black until it has a value
      if (Number.isNaN(value)) continue;
      const colour = 3 * colourIndex(image, value);
      for (let part = 0; part < 3; part++) pixels.data[4 * i + part] = table[colour + part];
    }
    target.getContext("2d").putImageData(pixels, 0, 0);
  }

  // The borders between pixels above a threshold and the others, as lines [x, y, x, y].
  function borders(contour, threshold) {
    const image = scan.images.find((other) => other.key === contour.key);
    const isAbove = (y, x) =>
      y >= 0 && x >= 0 && y < scan.height && x < scan.width && valueAt(image, y, x) > threshold;
    const lines = [];
    for (let y = 0; y < scan.height; y++) {
      for (let x = 0; x < scan.width; x++) {
        if (!isAbove(y, x)) continue;
        if (!isAbove(y - 1, x)) lines.push([x, y, x + 1, y]);
        if (!isAbove(y + 1, x)) lines.push([x, y + 1, x + 1, y + 1]);
        if (!isAbove(y, x - 1)) lines.push([x, y, x, y + 1]);
        if (!isAbove(y, x + 1)) lines.push([x + 1, y, x + 1, y + 1]);
      }
    }
    return lines;
  }

  // One panel -------------------------------------------------------------------------------

  function makePanel(figure) {
    const image = scan.images.find((other) => other.key === figure.dataset.image);
    const canvas = figure.querySelector("canvas");
    const source = document.createElement("canvas");
    source.width = scan.width;
    source.height = scan.height;
    return { figure, image, canvas, source, readout: figure.querySelector("output") };
  }

  // Where the image lies on its canvas, in CSS pixels.
  function place(panel) {
    const width = Math.max(40, panel.figure.clientWidth - 2 * sides);
    const scale = width / (scan.width * scan.pixel_mm[0]); // CSS pixels per mm
    return {
      x: scale * scan.pixel_mm[0],
      y: scale * scan.pixel_mm[1],
      width,
      height: scale * scan.pixel_mm[1] * scan.height,
      scale,
    };
  }

  function draw(panel) {
    const spot = place(panel);
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [spot.width + 2 * sides, spot.height + below];
    panel.canvas.style.height = `${height}px`;
    panel.canvas.width = Math.round(width * ratio);
    panel.canvas.height = Math.round(height * ratio);
    const pen = panel.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    pen.imageSmoothingEnabled = false;
    paint(panel.image, panel.source);
    pen.drawImage(panel.source, sides, 0, spot.width, spot.height);
    if (state.outlines) state.levels.forEach((level) => drawOutline(pen, panel, spot, level));
    scan.marks.forEach((mark) => drawMark(pen, panel, spot, mark));
    drawPointer(pen, spot);
    drawWords(pen, spot, width);
    drawColourBar(pen, panel.image, spot);
  }

  function drawOutline(pen, panel, spot, level) {
    const { contour, lines } = level;
    if (contour.shown_on.length && !contour.shown_on.includes(panel.image.key)) return;
    for (const [colour, thick] of [["#000", 3], [contour.colour, 1.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thick;
      pen.beginPath();
      for (const [x0, y0, x1, y1] of lines) {
        pen.moveTo(sides + x0 * spot.x, y0 * spot.y);
        pen.lineTo(sides + x1 * spot.x, y1 * spot.y);
      }
      pen.stroke();
    }
  }

  function drawMark(pen, panel, spot, mark) {
    if (mark.image !== panel.image.key) return;
    pen.strokeStyle = mark.colour;
    pen.lineWidth = 1.5;
    for (const [z, y, x] of mark.voxels) {
      if (z !== state.slice) continue;
      pen.beginPath();
      pen.arc(sides + x * spot.x, y * spot.y, Math.max(3, spot.x), 0, 7);
      pen.stroke();
    }
  }

  function drawPointer(pen, spot) {
    if (!state.pointer) return;
    const x = sides + (state.pointer[1] + 0.5) * spot.x;
    const y = (state.pointer[0] + 0.5) * spot.y;
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(x + 3 * dx, y + 3 * dy);
      pen.lineTo(x + 8 * dx, y + 8 * dy);
    }
    pen.stroke();
  }

  // R and L beside the image, where no skull hides them; under it the slice and a scale bar.
  function drawWords(pen, spot, width) {
    pen.fillStyle = pen.strokeStyle = "#fff";
    pen.lineWidth = 2;
    pen.font = `bold ${font}`;
    pen.textBaseline = "middle";
    if (scan.sides_known) {
      pen.textAlign = "center";
      pen.fillText("R", sides / 2, spot.height / 2);
      pen.fillText("L", width - sides / 2, spot.height / 2);
    }
    pen.font = font;
    const y = spot.height + 9;
    pen.textAlign = "left";
    const side = scan.sides_known ? "" : spot.width > 190 ? "  side unknown" : "  side ?";
    pen.fillText(`${state.slice + 1}/${scan.slices}${side}`, sides, y);
    const bar_mm = [100, 50, 20, 10].find((mm) => mm * spot.scale < spot.width / 3) || 5;
    const end = sides + spot.width;
    pen.beginPath();
    pen.moveTo(end - bar_mm * spot.scale, y);
    pen.lineTo(end, y);
    pen.stroke();
    pen.textAlign = "right";
    pen.fillText(`${bar_mm / 10} cm`, end - bar_mm * spot.scale - 4, y);
  }

  function drawColourBar(pen, image, spot) {
    const y = spot.height + 19;
    const table = scan.colours[image.colour_map];
    for (let i = 0; i < 256; i++) {
      pen.fillStyle = `rgb(${table[3 * i]},${table[3 * i + 1]},${table[3 * i + 2]})`;
      pen.fillRect(sides + (spot.width * i) / 256, y, spot.width / 256 + 1, 8);
    }
    pen.fillStyle = "#ddd";
    const [low, high] = image.window;
    [["left", low], ["center", (low + high) / 2], ["right", high]].forEach(([align, value], i) => {
      pen.textAlign = align;
      const unit = i === 2 && image.unit && spot.width > 190 ? ` ${image.unit}` : "";
      pen.fillText(shortNumber(value) + unit, sides + (spot.width * i) / 2, y + 17);
    });
  }

  const shortNumber = (value) => String(Number(value.toPrecision(3)));

  // The whole page --------------------------------------------------------------------------

  const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);

  function readControls() {
    state.levels = scan.contours.map((contour, index) => {
      const chosen = Number(at(`threshold-${index}`).value);
      const threshold = contour.thresholds[chosen];
      const voxels = contour.voxels[chosen];
      return { contour, threshold, voxels, lines: borders(contour, threshold) };
    });
  }

  function withUnit(number, unit) {
    return unit ? `${number} ${unit}` : number;
  }

  // A few voxels must not look like none.
  const volume = (ml) => `${ml > 0 && ml < 0.05 ? ml.toPrecision(1) : ml.toFixed(1)} mL`;

  function finding() {
    return state.levels.map(({ contour, voxels }) => {
      const ml = voxels[state.slice] * scan.voxel_ml;
      return ml > 0 ? `${contour.label} ${volume(ml)} in this slice` : `no ${contour.label}`;
    });
  }

  function say(panel) {
    const { name, unit, window: ends } = panel.image;
    const counted = scan.sides_known ? "counted from the feet" : "side unknown";
    const range = withUnit(`${shortNumber(ends[0])} to ${shortNumber(ends[1])}`, unit);
    const words = [`${name}, slice ${state.slice + 1} of ${scan.slices}, ${counted}, ${range}`];
    panel.canvas.setAttribute("aria-label", [...words, ...finding()].join("; "));
    const value = state.pointer ? valueAt(panel.image, ...state.pointer) : NaN;
    panel.readout.textContent = Number.isNaN(value) ? "" : withUnit(shortNumber(value), unit);
  }

  function update() {
    readControls();
    at("slice").value = state.slice + 1;
    at("slice-text").textContent = `${state.slice + 1} of ${scan.slices}`;
    state.levels.forEach(({ contour, threshold, voxels }, index) => {
      at(`threshold-${index}-text`).textContent = withUnit(threshold.toFixed(2), contour.unit);
      at(`volume-${index}`).textContent = volume(sum(voxels) * scan.voxel_ml);
    });
    panels.forEach((panel) => {
      draw(panel);
      say(panel);
    });
  }

  function goTo(slice) {
    state.slice = Math.max(0, Math.min(scan.slices - 1, slice));
    update();
  }

  const KEYS = { ArrowUp: 1, PageUp: 1, ArrowDown: -1, PageDown: -1, Home: -1e9, End: 1e9 };

  function onKey(event) {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "o") {
      at("outlines").click();
    } else if (event.key in KEYS) {
      event.preventDefault();
      goTo(state.slice + KEYS[event.key]);
    }
  }

  // A wheel with small steps, as that of a touch pad, is added up.
  let turned = 0;
  function onWheel(event) {
    if (event.ctrlKey) return;
    event.preventDefault();
    turned += event.deltaMode ? 40 * event.deltaY : event.deltaY;
    const steps = Math.trunc(turned / 40);
    turned -= 40 * steps;
    if (steps) goTo(state.slice - Math.sign(steps));
  }

  function listen(panel) {
    let start = null;
    panel.canvas.addEventListener("wheel", onWheel, { passive: false });
    panel.canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      const spot = place(panel);
      const x = Math.floor((event.offsetX - sides) / spot.x);
      const y = Math.floor(event.offsetY / spot.y);
      const isInside = x >= 0 && y >= 0 && x < scan.width && y < scan.height;
      state.pointer = isInside ? [y, x] : null;
      update();
    });
    panel.canvas.addEventListener("pointerleave", () => {
      state.pointer = null;
      update();
    });
    panel.canvas.addEventListener("touchstart", (event) => (start = event.touches[0].clientX));
    panel.canvas.addEventListener("touchmove", (event) => {
      const moved = event.touches[0].clientX - start;
      if (Math.abs(moved) < 18) return; // up and down scrolls the page
      start = event.touches[0].clientX;
      goTo(state.slice + Math.sign(moved));
    });
    panel.figure.querySelector("button").addEventListener("click", (event) => {
      const isLarge = panel.figure.classList.toggle("large");
      event.currentTarget.setAttribute("aria-pressed", isLarge);
      update();
    });
  }

  async function begin() {
    await Promise.all(scan.images.map(unpack));
    for (const name of Object.keys(scan.colours)) scan.colours[name] = bytesOf(scan.colours[name]);
    document.querySelectorAll("figure[data-image]").forEach((figure) => {
      panels.push(makePanel(figure));
    });
    panels.forEach(listen);
    document.addEventListener("keydown", onKey);
    at("slice").addEventListener("input", (event) => goTo(Number(event.target.value) - 1));
    document.querySelectorAll(".threshold").forEach((slider) => {
      slider.addEventListener("input", update);
    });
    at("outlines").addEventListener("change", (event) => {
      state.outlines = event.target.checked;
      update();
    });
    document.querySelectorAll("button[data-slice]").forEach((button) => {
      button.addEventListener("click", () => goTo(Number(button.dataset.slice)));
    });
    window.addEventListener("resize", update);
    update();
    document.documentElement.dataset.ready = "yes";
  }

  begin().catch((error) => {
    at("failed").hidden = false;
    at("failed").textContent = `The images cannot be shown in this browser (${error}); see report.png.`;
  });
})();
