/** How the page of an evaluation looks, and what its buttons do. Nothing is fetched from anywhere. */

export const style = `
:root { color-scheme: light dark; --ink: #1d2430; --dim: #667085; --line: #e2e6ee; --card: #fff; --page: #f5f6fa; --accent: #2f6fed }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --dim: #98a2b3; --line: #2c3340; --card: #1b202a; --page: #12151c; --accent: #7aa5ff } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif }
header, main { max-width: 1440px; margin: 0 auto; padding: 0 24px }
header { padding-top: 32px }
h1 { font-size: 26px; margin: 0 0 2px; letter-spacing: -.01em }
.about, .question small, figcaption { color: var(--dim) }
.about { margin: 0 0 18px; overflow-wrap: anywhere }
.scores { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden }
.scores td, .scores th { padding: 7px 14px; text-align: left; border-top: 1px solid var(--line); vertical-align: baseline; font-weight: 400 }
.scores tr:first-child > * { border-top: 0 }
.scores th { font-weight: 600; white-space: nowrap }
.scores td:nth-child(2) { color: var(--dim); text-align: right; white-space: nowrap }
.metric { display: inline-block; margin-right: 20px; white-space: nowrap }
.metric b { font-variant-numeric: tabular-nums }
.metric span { color: var(--dim); margin-right: 6px; font-size: 13px }
nav { position: sticky; top: 0; z-index: 1; background: var(--page); padding: 14px 0; display: flex; flex-wrap: wrap; gap: 8px }
nav .order { margin-left: auto; display: flex; gap: 8px }
button { font: inherit; font-size: 14px; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 999px; padding: 4px 14px; cursor: pointer }
button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: #fff }
#cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(560px, 100%), 1fr)); gap: 16px; align-items: start; padding-bottom: 40px }
article { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px; min-width: 0 }
article[hidden] { display: none }
.question { display: flex; gap: 12px; align-items: baseline; margin: 0 0 12px }
.question p { margin: 0; font-weight: 600; flex: 1; overflow-wrap: anywhere }
.value { min-width: 52px; text-align: center; border-radius: 8px; padding: 2px 8px; font-weight: 700; font-variant-numeric: tabular-nums; color: #fff }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 14px }
.single { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 2fr); gap: 14px }
figure { margin: 0; min-width: 0 }
figure img { display: block; width: 100%; max-height: 420px; object-fit: contain; border-radius: 8px; background: var(--page) }
figcaption { text-transform: uppercase; letter-spacing: .06em; font-size: 11px; margin: 10px 0 2px }
figure p, .single p { margin: 0 0 8px; overflow-wrap: anywhere }
mark { color: inherit; background: none; font-weight: 600; border-bottom: 3px solid }
.none { color: var(--dim); font-style: italic }
.flag { color: #b42318; font-size: 13px }
@media (max-width: 720px) { .pair, .single { grid-template-columns: 1fr } }
`;

export const script = `
const cards = [...document.querySelectorAll('article')];
const list = document.getElementById('cards');
const press = (group, button) => group.forEach((one) => one.setAttribute('aria-pressed', String(one === button)));
const tasks = [...document.querySelectorAll('[data-show]')];
const orders = [...document.querySelectorAll('[data-order]')];
for (const button of tasks) button.onclick = () => {
  press(tasks, button);
  for (const card of cards) card.hidden = button.dataset.show !== '' && card.dataset.task !== button.dataset.show;
};
for (const button of orders) button.onclick = () => {
  press(orders, button);
  const sign = Number(button.dataset.order);
  cards.sort((a, b) => sign * (a.dataset.value - b.dataset.value));
  list.append(...cards);
};
`;
