"use strict";
// Tables can be sorted and searched. Without this script they are read as they stand.
(() => {
  const numberOf = (text) => {
    const found = text.replace(/,/g, "").replace(/−/g, "-").match(/^[^\d-]*(-?\d[\d.]*(?:e[+-]?\d+)?)/i);
    return found ? parseFloat(found[1]) : NaN;
  };
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  const sortBy = (table, place, heading, isNumber) => {
    const descending = heading.getAttribute("aria-sort") === "ascending" ||
      (isNumber && heading.getAttribute("aria-sort") !== "descending");
    const sign = descending ? -1 : 1;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row, order) => {
      const text = row.cells[place].textContent.trim();
      return { row, order, text, value: isNumber ? numberOf(text) : 0 };
    });
    rows.sort((one, other) => {
      if (isNumber) {
        // What is undefined comes last, in whatever direction.
        const missing = Number.isNaN(one.value) - Number.isNaN(other.value);
        if (missing || Number.isNaN(one.value)) return missing || one.order - other.order;
        return sign * (one.value - other.value) || one.order - other.order;
      }
      return sign * collator.compare(one.text, other.text) || one.order - other.order;
    });
    body.append(...rows.map((entry) => entry.row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };

  const makeSortable = (table, show) => {
    Array.from(table.tHead.rows[0].cells).forEach((heading, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      const isNumber = heading.classList.contains("number");
      button.addEventListener("click", () => {
        sortBy(table, place, heading, isNumber);
        show();
      });
    });
  };

  // Of a long table the first rows are shown, until somebody searches it or asks for all.
  const makeSearchable = (table, what) => {
    const most = Number(table.dataset.first) || Infinity;
    const texts = new Map(Array.from(table.tBodies[0].rows, (row) => [row, row.textContent.toLowerCase()]));
    const box = document.createElement("p");
    box.className = "controls";
    const label = document.createElement("label");
    label.textContent = "Search these " + what;
    const input = document.createElement("input");
    input.type = "search";
    const told = document.createElement("span");
    told.setAttribute("role", "status");
    label.append(input);
    box.append(label, told);
    const scrolled = table.closest(".scroll") || table;
    scrolled.before(box);
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = "Show all " + texts.size + " " + what;
    let expanded = texts.size <= most;
    if (!expanded) scrolled.after(all);

    const show = () => {
      const wanted = input.value.trim().toLowerCase();
      const limit = wanted || expanded ? Infinity : most;
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden = shown >= limit || !texts.get(row).includes(wanted);
        shown += !row.hidden;
      }
      told.textContent = wanted ? shown + " of " + texts.size : "";
      all.hidden = expanded || Boolean(wanted);
    };
    input.addEventListener("input", show);
    all.addEventListener("click", () => {
      const next = Array.from(table.tBodies[0].rows).find((row) => row.hidden);
      expanded = true;
      show();
      // The button is gone: the focus goes on with the first row that it brought.
      next.tabIndex = -1;
      next.focus();
    });
    show();
    return show;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const show = table.dataset.search ? makeSearchable(table, table.dataset.search) : () => {};
    makeSortable(table, show);
  }
})();
