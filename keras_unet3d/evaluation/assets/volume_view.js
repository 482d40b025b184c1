"use strict";
// The 3D view: NiiVue with the volumes that lie in the page. "#azimuth=120&elevation=10" in the address says how it is
// turned at first.
(() => {
  const make = (tag, attributes, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  const choice = (label, names, chosen) => {
    const select = make("select", {}, ...names.map((name, number) => make("option", { value: number, textContent: name })));
    select.onchange = () => chosen(Number(select.value));
    return [make("label", { hidden: names.length < 2 }, label, select), select];
  };
  const slider = (label, attributes, changed) => {
    const range = make("input", { type: "range", ...attributes });
    range.oninput = () => changed(Number(range.value));
    return make("label", {}, label, range);
  };

  class VolumeView {
    constructor(root) {
      this.root = root;
      this.views = JSON.parse(root.querySelector(".views").textContent);
      this.canvas = root.querySelector("canvas");
      this.message = root.querySelector(".message");
      const asked = new URLSearchParams(location.hash.slice(1));
      this.azimuth = Number(asked.get("azimuth") ?? 110);
      this.elevation = Number(asked.get("elevation") ?? 25);
      this.see = { view: 0, image: 0, map: 0, mode: 0, opacity: 0.45, paint: 1, cut: 0 };
      this.shown = this.views.map((view) => view.maps.map((map) => map.classes.map((each) => each.shown)));
    }

    async start() {
      this.message.textContent = "Preparing the 3D view …";
      if (!document.createElement("canvas").getContext("webgl2")) {
        this.message.textContent = "The 3D view needs WebGL 2, which this browser does not offer here.";
        return;
      }
      this.niivue = new niivue.Niivue({
        backColor: [0.06, 0.07, 0.085, 1], logLevel: "error", dragAndDropEnabled: false, show3Dcrosshair: false,
        crosshairWidth: 0.5, crosshairColor: [0.62, 0.89, 0.92, 0.8], isOrientationTextVisible: false, gradientOrder: 2,
        scrollRequiresFocus: true, clipPlaneHotKey: "none", viewModeHotKey: "none", cycleClipPlaneHotKey: "none", loadingText: "",
        isNearestInterpolation: false, multiplanarLayout: niivue.MULTIPLANAR_TYPE.GRID, clipPlaneColor: [0, 0, 0, 0],
      });
      this.niivue.onAzimuthElevationChange = (azimuth, elevation) => this.turned(azimuth, elevation);
      await this.niivue.attachToCanvas(this.canvas);
      await this.niivue.setVolumeRenderIllumination(0.4);
      this.controls();
      await this.load();
      this.niivue.setRenderAzimuthElevation(this.azimuth, this.elevation);
      this.turned(this.azimuth, this.elevation);
      this.message.hidden = true;
      this.root.dataset.state = "ready";
    }

    controls() {
      const before = this.root.querySelector(".before");
      this.after = this.root.querySelector(".after");
      const again = (what) => async (number) => { this.see[what] = number; await this.load(); };
      [this.caseLabel, this.caseSelect] = choice("Case", this.views.map((view) => view.name), async (number) => {
        Object.assign(this.see, { view: number, image: 0, map: Math.min(this.see.map, this.views[number].maps.length) });
        this.selects();
        await this.load();
      });
      this.chosen = make("span", { className: "group" });
      this.chosen.style.gap = "1.25rem";
      this.again = again;
      const [mode] = choice("As", ["3D", "slices", "both"], (number) => { this.see.mode = number; this.look(); });
      const turn = [["←", -15, 0, "Turn left"], ["→", 15, 0, "Turn right"], ["↑", 0, 15, "Turn up"], ["↓", 0, -15, "Turn down"]];
      const buttons = turn.map(([sign, across, up, label]) => {
        const button = make("button", { type: "button", textContent: sign, onclick: () => this.turn(across, up) });
        button.setAttribute("aria-label", label);
        return button;
      });
      before.append(
        this.caseLabel, this.chosen, mode,
        make("span", { className: "group" }, ...buttons),
        slider("Image", { min: 0, max: 1, step: 0.05, value: this.see.opacity }, (value) => { this.see.opacity = value; this.look(); }),
        slider("Paint", { min: 0, max: 1, step: 0.05, value: this.see.paint }, (value) => { this.see.paint = value; this.look(); }),
        slider("Cut", { min: 0, max: 1, step: 0.02, value: 0 }, (value) => { this.see.cut = value; this.clip(); }),
      );
      before.hidden = this.after.hidden = false;
      this.canvas.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] }[event.key];
        const zoom = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 }[event.key];
        if (by) this.turn(...by);
        if (zoom) this.niivue.setScale(Math.min(Math.max(this.niivue.volScaleMultiplier * zoom, 0.4), 4));
        if (by || zoom) { event.preventDefault(); event.stopImmediatePropagation(); }
      }, { capture: true });
      this.compass = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      this.compass.setAttribute("viewBox", "-50 -50 100 100");
      this.compass.setAttribute("class", "compass");
      this.compass.setAttribute("aria-hidden", "true");
      this.root.querySelector(".stage").append(this.compass);
      this.selects();
    }

    selects() {
      const view = this.views[this.see.view];
      const [images, imageSelect] = choice("Channel", view.images.map((each) => each.name), this.again("image"));
      const [maps, mapSelect] = choice("Segmentation", [...view.maps.map((each) => each.name), "none"], this.again("map"));
      [imageSelect.value, mapSelect.value] = [this.see.image, this.see.map];
      this.chosen.replaceChildren(images, maps);
    }

    async load() {
      const view = this.views[this.see.view];
      const read = (file, options) => niivue.NVImage.loadFromBase64({
        base64: document.getElementById(file).textContent, name: `${file}.nii.gz`, ...options,
      });
      const loaded = [await read(view.images[this.see.image].file, { colormap: "gray", cal_min: 0, cal_max: 255 })];
      const map = view.maps[this.see.map];
      if (map) loaded.push(await read(map.file, {}));
      while (this.niivue.volumes.length) this.niivue.removeVolumeByIndex(this.niivue.volumes.length - 1);
      this.map = map ? loaded[1] : null;
      this.colours();
      for (const each of loaded) this.niivue.addVolume(each);
      this.legend();
      this.look();
    }

    colours() {
      if (!this.map) return;
      const { view, map } = this.see;
      const columns = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
      this.views[view].maps[map].classes.forEach((each, number) => {
        const shown = this.shown[view][map][number];
        const [red, green, blue] = shown ? each.colour : [0, 0, 0]; // else its colour would show at borders
        columns.R.push(red); columns.G.push(green); columns.B.push(blue);
        columns.A.push(shown ? 255 : 0); columns.I.push(number + 1); columns.labels.push(each.name);
      });
      this.map.setColormapLabel(columns);
    }

    legend() {
      const { view, map } = this.see;
      const classes = this.views[view].maps[map]?.classes ?? [];
      this.after.replaceChildren(...classes.map((each, number) => {
        const box = make("input", { type: "checkbox", checked: this.shown[view][map][number] });
        box.onchange = () => { this.shown[view][map][number] = box.checked; this.colours(); this.niivue.updateGLVolume(); };
        const key = make("i", { className: "key" });
        key.style.background = `rgb(${each.colour.join()})`;
        return make("label", {}, box, key, each.name);
      }));
    }

    look() {
      const types = [niivue.SLICE_TYPE.RENDER, niivue.SLICE_TYPE.MULTIPLANAR, niivue.SLICE_TYPE.MULTIPLANAR];
      const flat = this.see.mode > 0;
      const always = this.see.mode === 2 ? niivue.SHOW_RENDER.ALWAYS : niivue.SHOW_RENDER.NEVER;
      this.niivue.opts.multiplanarShowRender = always;
      this.niivue.setSliceType(types[this.see.mode]);
      this.niivue.setOpacity(0, flat ? 1 : this.see.opacity);
      if (this.map) this.niivue.setOpacity(1, this.see.paint * (flat ? 0.5 : 1));
      this.compass.style.display = flat ? "none" : "";
      this.root.querySelector(".where").textContent = this.views[this.see.view].where + (flat ? this.axes() : "");
    }

    axes() {
      // NiiVue lays slices along right, anterior and superior; each is nearest to one axis of the voxels.
      const { axes } = this.views[this.see.view];
      const [right, front, up] = [0, 1, 2].map((space) => {
        const along = axes.map((axis) => Math.abs(axis[space]));
        return "xyz"[along.indexOf(Math.max(...along))];
      });
      return ` Slices across and up: ${right} and ${up}, ${front} and ${up}; below ${right} and ${front}.`;
    }

    turn(across, up) {
      const elevation = Math.min(Math.max(this.elevation + up, -90), 90);
      this.niivue.setRenderAzimuthElevation((this.azimuth + across + 360) % 360, elevation);
    }

    turned(azimuth, elevation) {
      [this.azimuth, this.elevation] = [azimuth, elevation];
      Object.assign(this.root.dataset, { azimuth: Math.round(azimuth), elevation: Math.round(elevation) });
      const turning = this.niivue.calculateModelMatrix(azimuth, elevation); // column by column
      const size = Math.hypot(turning[0], turning[1], turning[2]);
      const axes = this.views[this.see.view].axes.map(([x, y, z], number) => {
        const [right, up, near] = [0, 1, 2].map((row) => (turning[row] * x + turning[4 + row] * y + turning[8 + row] * z) / size);
        return { name: "xyz"[number], right, up, near };
      });
      axes.sort((one, other) => one.near - other.near);
      this.compass.innerHTML = axes.map(({ name, right, up }) =>
        `<line x1="0" y1="0" x2="${30 * right}" y2="${-30 * up}"/>` +
        `<text x="${40 * right}" y="${-40 * up + 4}" text-anchor="middle">${name}</text>`).join("");
      if (this.see.cut) this.clip();
    }

    clip() {
      // Cuts from the side of the viewer; 2 is beyond every volume.
      const depth = this.see.cut ? 0.6 - 1.1 * this.see.cut : 2;
      this.niivue.setClipPlane([depth, (this.azimuth + 180) % 360, -this.elevation]);
    }
  }

  for (const root of document.querySelectorAll(".view")) {
    const view = new VolumeView(root);
    const start = () => view.start().catch((error) => {
      view.message.hidden = false;
      view.message.textContent = `The 3D view could not be shown (${error.message}).`;
      root.dataset.state = "failed";
      console.error(error);
    });
    if (location.hash.includes("azimuth=")) { start(); continue; }
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) { seen.disconnect(); start(); }
    }, { rootMargin: "400px" });
    seen.observe(root);
  }
})();
