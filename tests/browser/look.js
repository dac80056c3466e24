// What a reader of one notebook could stumble over, as [cell, sentence] pairs. Called with the id of the notebook's panel.
async id => {
  const NO_VIEW = /Error displaying widget|model not found|\b[VH]Box\(children|<IPython\.core|<Figure size/;
  const CONTROLS = "[role=slider], select, button, input:not([type=hidden]), textarea";
  const LEGIBLE = 3; // contrast that WCAG asks of large text; course text is larger than its small print anyway
  const found = [];

  const seen = each => each.getClientRects().length > 0 && getComputedStyle(each).visibility === "visible";
  const scrolls = style => style.overflowX === "auto" || style.overflowX === "scroll";
  const hides = style => style.overflowX === "hidden" || style.overflowX === "clip";
  const short = text => text.trim().replace(/\s+/g, " ").slice(0, 40);
  const ownText = each => [...each.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join("").trim();

  // What lies outside of the cell, or of an ancestor that hides it, is lost, unless something in between scrolls.
  const isCut = (each, cell) => {
    const box = each.getBoundingClientRect();
    for (let outer = each.parentElement; ; outer = outer.parentElement) {
      const style = getComputedStyle(outer), room = outer.getBoundingClientRect();
      if (scrolls(style) && outer !== cell) return false;
      if ((hides(style) || outer === cell) && (box.right > room.right + 2 || box.left < room.left - 2)) return true;
      if (outer === cell) return false;
    }
  };

  const numbers = colour => colour.match(/[\d.]+/g).map(Number);
  const ground = each => {
    for (let outer = each; outer; outer = outer.parentElement) {
      const [red, green, blue, alpha = 1] = numbers(getComputedStyle(outer).backgroundColor);
      if (alpha > 0.5) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  const light = rgb => {
    const [red, green, blue] = rgb.map(v => v / 255).map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = each => {
    const [a, b] = [light(numbers(getComputedStyle(each).color)), light(ground(each))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };

  const lookAt = async (shown, cell, say) => {
    const trouble = shown.textContent.match(NO_VIEW);
    if (trouble) say(`shows ${trouble[0]}`);
    for (const image of shown.querySelectorAll("img")) {
      if (["", "Image"].includes(image.alt.trim())) say("a picture without alternative text"); // JupyterLab writes "Image"
      if (!(await image.decode().then(() => image.naturalWidth > 0, () => false))) say(`a broken picture: ${image.alt}`);
    }
    for (const control of [...shown.querySelectorAll(CONTROLS)].filter(seen))
      if (!control.computedName?.trim()) say(`a ${control.computedRole} without a name`);
    for (const each of [...shown.querySelectorAll("*")].filter(seen)) {
      const style = getComputedStyle(each), text = ownText(each);
      const tag = each.tagName.toLowerCase();
      if (/^(table|img|svg|pre|button|select|input|label|td|th|p|li|figure|mjx-container)$/.test(tag) && isCut(each, cell))
        say(`cut at the side: ${tag} “${short(each.alt ?? each.textContent)}”`);
      if (text && hides(style) && each.clientWidth && each.scrollWidth > each.clientWidth + 1)
        say(`its end is hidden: “${short(text)}”`);
      if (text && each.clientHeight && style.overflowY === "hidden" && each.scrollHeight > each.clientHeight + 4)
        say(`its lower lines are hidden: “${short(text)}”`);
      if (text && !each.closest("mjx-container, :disabled, .CodeMirror, code") && contrast(each) < LEGIBLE)
        say(`hard to read, contrast ${contrast(each).toFixed(1)} to 1: “${short(text)}”`);
    }
  };

  // The browser skips the layout of what is off the screen, and JupyterLab draws a cell when it is first seen.
  const drawn = async (cell, model) => {
    cell.scrollIntoView();
    await model.ready;
    const shows = (model.model.outputs?.length ?? 0) > 0 && !model.outputHidden;
    for (let frame = 0; frame < 2 || (shows && frame < 600 && !cell.querySelector(".jp-OutputArea-output")); frame++)
      await new Promise(requestAnimationFrame);
  };

  const panel = document.getElementById(id);
  const models = [...jupyterapp.shell.widgets("main")].find(tab => tab.id === id).content.widgets;
  for (const cell of panel.querySelectorAll(".jp-Cell[data-windowed-list-index]")) {
    const index = Number(cell.dataset.windowedListIndex), say = sentence => found.push([index, sentence]);
    await drawn(cell, models[index]);
    for (const shown of cell.querySelectorAll(".jp-OutputArea-output, .jp-MarkdownOutput")) await lookAt(shown, cell, say);
  }
  return found;
}
