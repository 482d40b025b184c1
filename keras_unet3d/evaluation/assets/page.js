"use strict";
// Goes through the slices of each case. Without it all slices lie below each other.
for (const browser of document.querySelectorAll(".browser")) {
  const slices = [...browser.querySelectorAll(".slice")];
  const axes = browser.dataset.axes.split(" ");
  const name = browser.dataset.name;
  let current = slices.find((slice) => slice.classList.contains("first")) || slices[0];

  const make = (tag, attributes, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  const of = (axis) => slices.filter((slice) => slice.dataset.axis === axis);
  const place = make("input", { type: "range", className: "place", min: 0, step: 1 });
  place.setAttribute("aria-label", `Slice of ${name}`);
  const text = make("output", {});
  const buttons = axes.map((axis) => {
    const button = make("button", { type: "button", textContent: axis });
    button.onclick = () => show(of(axis).find((slice) => slice.classList.contains("first")) || of(axis)[0]);
    return button;
  });
  const step = (by) => {
    const along = of(current.dataset.axis);
    show(along[Math.min(Math.max(along.indexOf(current) + by, 0), along.length - 1)]);
  };
  const back = make("button", { type: "button", textContent: "‹", onclick: () => step(-1) });
  const on = make("button", { type: "button", textContent: "›", onclick: () => step(1) });
  back.setAttribute("aria-label", "Previous slice");
  on.setAttribute("aria-label", "Next slice");
  const paint = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 1 });
  paint.oninput = () => browser.style.setProperty("--overlay", paint.value);
  const larger = make("button", { type: "button", textContent: "Larger" });
  larger.setAttribute("aria-pressed", "false");
  larger.onclick = () => larger.setAttribute("aria-pressed", String(browser.classList.toggle("larger")));

  function show(slice) {
    current = slice;
    for (const each of slices) each.hidden = each !== slice;
    const along = of(slice.dataset.axis);
    place.max = along.length - 1;
    place.value = along.indexOf(slice);
    place.disabled = back.disabled = on.disabled = along.length < 2;
    place.setAttribute("aria-valuetext", `${slice.dataset.axis}=${slice.dataset.index}`);
    text.textContent = `${slice.dataset.axis}=${slice.dataset.index}`;
    buttons.forEach((button, number) => button.setAttribute("aria-pressed", String(axes[number] === slice.dataset.axis)));
  }

  place.oninput = () => show(of(current.dataset.axis)[Number(place.value)]);
  browser.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement) return; // sliders have keys of their own
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { step(by); event.preventDefault(); }
  });
  const across = make("span", { className: "group" }, "Across", ...buttons);
  across.setAttribute("role", "group");
  across.setAttribute("aria-label", "Slices orthogonal to");
  const controls = make("div", { className: "controls" },
    across,
    make("span", { className: "group" }, back, place, on, text),
    make("label", {}, "Paint", paint),
    larger);
  browser.querySelector(".slices").before(controls);
  show(current);
}
// What is folded is printed, too.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
