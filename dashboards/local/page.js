"use strict";
// Shows one page at a time, draws its charts, follows the reader's choices and theme, sorts tables and writes them
// to files. Without it, everything is
// there as tables.
(function () {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const pages = [...document.querySelectorAll(".page")];
  const links = [...document.querySelectorAll("nav a")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  root.classList.add("scripted");

  function theme() {
    if (printing) return "light";
    return root.dataset.theme || (dark.matches ? "dark" : "light");
  }

  // Puts a palette's colours where the figure names them.
  function coloured(value, palette) {
    if (typeof value === "string") return value[0] === "$" ? palette[value.slice(1)] : value;
    if (Array.isArray(value)) return value.map((one) => coloured(one, palette));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, palette)]));
  }

  function draw(page) {
    for (const place of page.querySelectorAll(".chart")) {
      if (place.closest("[data-choice][hidden]")) continue;
      const figure = coloured(data.charts[place.dataset.chart], data.palettes[theme()]);
      figure.layout.font.family = getComputedStyle(document.body).fontFamily;
      if (figure.layout.height) place.style.height = figure.layout.height + "px";
      Plotly.react(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
    }
  }

  function show() {
    const wanted = location.hash.slice(1);
    const page = pages.find((one) => one.id === wanted) || pages[0];
    for (const one of pages) one.hidden = one !== page;
    for (const link of links) {
      if (link.hash === "#" + page.id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = page.dataset.title + " · " + root.dataset.title;
    window.scrollTo(0, 0);
    draw(page);
  }

  function choose(page, choice) {
    for (const one of page.querySelectorAll("[data-choice]")) one.hidden = one.dataset.choice !== choice;
    if (!page.hidden) draw(page);
  }

  // What a cell says, as a spreadsheet takes it. Texts that one would run as a formula are only to be read.
  function written(cell) {
    const text = cell.textContent.trim().replace(/\u2212/g, "-").replace(/^\u2013$/, "");
    const safe = !cell.classList.contains("n") && /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
    return '"' + safe.replace(/"/g, '""') + '"';
  }

  function download(table, name) {
    const lines = [...table.rows].map((row) => [...row.cells].map(written).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = name + ".csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // A cell's place in its column: numbers by size, texts by the alphabet, what is withheld or absent last.
  function place(cell) {
    const text = cell.textContent.trim().replace(/\u2212/g, "-").replace(/,/g, "");
    if (!cell.classList.contains("n")) return text;
    return /^[+-]?\d/.test(text) ? parseFloat(text) : NaN;
  }

  function sort(table, column, heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [place(row.cells[column]), row]);
    rows.sort(([a], [b]) => {
      if (typeof a === "string" || typeof b === "string") return (up ? 1 : -1) * String(a).localeCompare(String(b));
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
      return up ? a - b : b - a;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll(".visual table")) {
    const name = [root.dataset.title, table.closest(".page").id, table.closest(".visual").querySelector("h3").textContent];
    const save = document.createElement("button");
    save.type = "button";
    save.className = "save";
    save.textContent = "Download as CSV";
    save.addEventListener("click", () => download(table, name.join(" ").replace(/[^A-Za-z0-9]+/g, "-").toLowerCase()));
    table.closest(".scroll").after(save);
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(table, column, heading));
      heading.replaceChildren(button);
    });
  }

  for (const chooser of document.querySelectorAll(".chooser")) {
    const page = chooser.closest(".page"), select = chooser.querySelector("select");
    chooser.hidden = false;
    choose(page, select.value);
    select.addEventListener("change", () => choose(page, select.value));
  }
  function redraw() { pages.filter((page) => !page.hidden).forEach(draw); }
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    redraw();
  });
  dark.addEventListener("change", redraw);
  addEventListener("hashchange", show);
  addEventListener("beforeprint", () => { printing = true; pages.forEach((page) => { page.hidden = false; draw(page); }); });
  addEventListener("afterprint", () => { printing = false; show(); });
  show();
})();
