"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, fields = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), fields);
    element.append(...children);
    return element;
  };
  const thousands = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

  // what: in the plural, as the page says it
  const counted = (number, what) => `${thousands(number)} ${number === 1 ? what.replace(/classes$/, "class").replace(/([^s])s$/, "$1") : what}`;

  // Contents, from the sections that there are.
  const sections = all("main > section[id]:not([data-unlisted])");
  const nav = document.querySelector("nav");
  if (nav && sections.length > 2) {
    nav.append(make("ul", {}, ...sections.map((section) =>
      make("li", {}, make("a", { href: "#" + section.id, textContent: section.querySelector("h2").textContent })))));
  } else nav?.remove();

  // What a page has when it is opened, and what a script puts into it later.
  const enliven = (root) => {
    // Tables that sort by their columns, filter by text and show their first rows at first.
    // data-limit: rows shown at first. A row's data-find is what the filter looks in, a cell's data-sort what sorts it.
    for (const table of all("table[data-limit]", root)) {
      const body = table.tBodies[0];
      const rows = [...body.rows];
      const limit = Number(table.dataset.limit);
      let everything = rows.length <= limit + 2;
      const what = table.dataset.what;
      const input = make("input", { type: "search", autocomplete: "off" });
      const state = make("span", { className: "muted" });
      state.setAttribute("role", "status");
      const more = make("button", { type: "button", className: "more" });
      const controls = make("div", { className: "controls" }, make("label", {}, "Find ", input), state);
      if (rows.length > 3) table.before(controls);
      table.after(more);

      const show = () => {
        const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        let found = 0;
        for (const row of body.rows) {
          const text = (row.dataset.find || row.textContent).toLowerCase();
          const fits = words.every((word) => text.includes(word));
          found += fits;
          row.hidden = !fits || (!everything && found > limit);
        }
        const shown = everything ? found : Math.min(found, limit);
        state.textContent = words.length || shown < found
          ? `${thousands(shown)} of ${counted(words.length ? found : rows.length, what)}`
          : counted(rows.length, what);
        more.hidden = shown === found;
        more.textContent = `Show all ${thousands(found)} ${what}`;
      };
      const value = (row, column) => {
        const cell = row.cells[column];
        return cell.dataset.sort !== undefined ? Number(cell.dataset.sort) : cell.textContent.trim();
      };
      const headers = all("thead th[aria-sort]", table);
      for (const header of headers) {
        const button = make("button", { type: "button" });
        button.append(...header.childNodes);
        header.append(button);
        button.addEventListener("click", () => {
          const before = header.ariaSort;
          const first = header.dataset.first || "ascending";
          const other = first === "ascending" ? "descending" : "ascending";
          for (const one of headers) one.ariaSort = "none";
          header.ariaSort = before === first ? other : first;
          const sign = header.ariaSort === "ascending" ? 1 : -1;
          const column = header.cellIndex;
          const sorted = rows.map((row, place) => [value(row, column), place, row]).sort((a, b) => {
            const order = typeof a[0] === "number" ? a[0] - b[0] : a[0].localeCompare(b[0], undefined, { numeric: true });
            return sign * order || a[1] - b[1];
          });
          body.append(...sorted.map((entry) => entry[2]));
          show();
        });
      }
      input.addEventListener("input", show);
      more.addEventListener("click", () => {
        everything = true;
        const next = [...body.rows].find((row) => row.hidden);
        show();
        if (next) { next.tabIndex = -1; next.focus({ preventScroll: true }); }
      });
      show();
    }

    // Lists of cards show their first ones at first. One that is browsed is also sorted and searched; radio buttons
    // before it, which the style obeys without this script, say which kind is shown.
    for (const list of all("ul[data-limit]", root)) {
      const cards = [...list.children];
      const limit = Number(list.dataset.limit);
      const what = list.dataset.what;
      const browsed = "browse" in list.dataset;
      const kinds = browsed ? all("input[type=radio]", list.closest("section")) : [];
      let everything = cards.length <= limit + 1;
      const input = make("input", { type: "search", autocomplete: "off" });
      const orders = {
        "Most wrong first": () => 0,
        "Highest score first": (a, b) => b.dataset.score - a.dataset.score,
        "Lowest score first": (a, b) => a.dataset.score - b.dataset.score,
        "Class": (a, b) => a.dataset.class.localeCompare(b.dataset.class, undefined, { numeric: true }),
        "File name": (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
      };
      const order = make("select", {}, ...Object.keys(orders).map((text) => make("option", { textContent: text })));
      const state = make("span", { className: "muted" });
      state.setAttribute("role", "status");
      const play = make("button", { type: "button", className: "more", textContent: "Play all" });
      play.setAttribute("aria-pressed", "false");
      const controls = make("div", { className: "controls" });
      if (browsed && cards.length > 3) {
        controls.append(make("label", {}, "Find class or file ", input), make("label", {}, "Sort by ", order));
      }
      if (all(".clip input", list).length) controls.append(play);
      if (browsed) controls.append(state);
      if (controls.childElementCount) list.before(controls);
      const more = make("button", { type: "button", className: "more" });
      list.after(more);

      const show = () => {
        const kind = kinds.find((one) => one.checked)?.value;
        const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        let found = 0;
        for (const card of list.children) {
          const text = card.textContent.toLowerCase();
          const fits = (!kind || kind === "every" || card.classList.contains(kind)) && words.every((word) => text.includes(word));
          found += fits;
          card.hidden = !fits || (!everything && found > limit);
        }
        const shown = everything ? found : Math.min(found, limit);
        state.textContent = `${thousands(shown)} of ${counted(found, what)}`;
        more.hidden = shown === found;
        more.textContent = `Show all ${thousands(found)} ${what}`;
      };
      const playAll = (is) => {
        for (const box of all(".clip input", list)) box.checked = is;
        play.setAttribute("aria-pressed", String(is));
        play.textContent = is ? "Pause all" : "Play all";
      };
      play.addEventListener("click", () => playAll(play.getAttribute("aria-pressed") === "false"));
      order.addEventListener("change", () => {
        list.append(...[...cards].sort((a, b) => orders[order.value](a, b) || cards.indexOf(a) - cards.indexOf(b)));
        show();
      });
      input.addEventListener("input", show);
      for (const kind of kinds) kind.addEventListener("change", show);
      more.addEventListener("click", () => {
        everything = true;
        const next = [...list.children].find((card) => card.hidden && (!kinds.length || kinds.some((one) => one.checked && (one.value === "every" || card.classList.contains(one.value)))));
        show();
        if (next) { next.tabIndex = -1; next.focus({ preventScroll: true }); }
      });
      show();
    }

    // Clips: Enter plays as the space bar does; those that are not seen rest.
    const seen = "IntersectionObserver" in window
      ? new IntersectionObserver((entries) => { for (const one of entries) one.target.classList.toggle("away", !one.isIntersecting); })
      : null;
    for (const box of all(".clip input", root)) {
      seen?.observe(box.parentElement);
      box.addEventListener("keydown", (event) => { if (event.key === "Enter") box.click(); });
    }

    // A command line is copied by a button.
    for (const part of all(".command", root)) {
      const button = make("button", { type: "button", className: "more", textContent: "Copy" });
      part.append(button);
      button.addEventListener("click", async () => {
        const text = part.querySelector("pre");
        getSelection().selectAllChildren(text); // where the browser does not let a page copy, a person can
        let copied = false;
        try { await navigator.clipboard.writeText(text.textContent); copied = true; } catch { copied = document.execCommand("copy"); }
        button.textContent = copied ? "Copied" : "Selected";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
    }

    // Frames that scroll sideways say so where there is more than they show.
    for (const frame of all(".scroll:not(.line)", root)) {
      if (frame.scrollWidth > frame.clientWidth + 1) {
        frame.before(make("p", { className: "small muted", textContent: "Wider than the screen: it scrolls sideways." }));
      }
    }

    // Curves: the values under the pointer, or under a cursor that the arrow keys move.
    const short = (value) => Number(value.toPrecision(4)).toString();
    for (const area of all(".area[data-plot]", root)) {
      const data = JSON.parse(area.dataset.plot);
      const outputs = all("output", area.closest("figure"));
      const cursor = make("div", { className: "cursor", hidden: true });
      area.append(cursor);
      const places = [...new Set(data.series.flatMap((one) => one.at))].sort((a, b) => a - b);
      const nearest = (list, at) => list.reduce((best, x, i) => (Math.abs(x - at) < Math.abs(list[best] - at) ? i : best), 0);
      let current = places.length - 1;
      const read = (at) => {
        current = nearest(places, at);
        const x = places[current];
        cursor.hidden = false;
        cursor.style.left = `${100 * x}%`;
        data.series.forEach((one, number) => {
          const place = nearest(one.at, x);
          const where = data.first + one.at[place] * (data.last - data.first);
          const at = data.last - data.first < 20 ? short(where) : thousands(where);
          outputs[number].textContent = `${short(one.values[place])} at ${at}`;
        });
      };
      const leave = () => { cursor.hidden = true; for (const output of outputs) output.textContent = ""; };
      area.addEventListener("pointermove", (event) => {
        const box = area.getBoundingClientRect();
        read((event.clientX - box.left) / box.width);
      });
      area.addEventListener("pointerleave", leave);
      area.addEventListener("focus", () => read(places[current]));
      area.addEventListener("blur", leave);
      area.addEventListener("keydown", (event) => {
        const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -20, PageUp: 20, Home: -places.length, End: places.length };
        if (!(event.key in steps)) return;
        event.preventDefault();
        read(places[Math.min(Math.max(current + steps[event.key], 0), places.length - 1)]);
      });
    }

    // Frames that come with and without where the network looked: a box says which are shown.
    for (const strip of all(".strip", root)) {
      const images = all("img[data-other]", strip);
      if (!images.length) continue;
      const box = make("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        for (const image of images) [image.src, image.dataset.other] = [image.dataset.other, image.src];
      });
      const note = strip.nextElementSibling; // says what is drawn
      note.replaceChildren(make("label", { className: "choice" }, box, make("span", {}, ...note.childNodes)));
    }
  };
  enliven(document);
  document.addEventListener("vmz:added", (event) => enliven(event.target));
})();
