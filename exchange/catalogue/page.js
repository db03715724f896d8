"use strict";
const find = document.getElementById("find");
const nothing = document.getElementById("nothing");
const rows = [...document.querySelectorAll("table.fields tbody tr")];
const articles = [...document.querySelectorAll("article")];
const others = [...document.querySelectorAll("#reading, #departments, #code-sets, #laws, .registry > .none")];

function filter() {
  const wanted = find.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  for (const article of articles) article.hidden = !article.querySelector("tbody tr:not([hidden])");
  for (const part of others) part.hidden = wanted !== "";
  for (const section of document.querySelectorAll(".registry")) {
    section.hidden = wanted !== "" && !section.querySelector("article:not([hidden])");
  }
  nothing.hidden = articles.some((article) => !article.hidden);
}

function open() {
  const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  if (place.closest("[hidden]")) {
    find.value = "";
    filter();
    place.scrollIntoView();
  }
  if (place.tagName === "DETAILS") place.open = true;
}

find.closest("label").hidden = false;
find.addEventListener("input", filter);
addEventListener("hashchange", open);
for (const choice of document.querySelectorAll("input[name=language]")) {
  choice.addEventListener("change", () => {
    document.documentElement.lang = choice.id === "language-en" ? "en" : "zh-CN";
  });
}
open();
