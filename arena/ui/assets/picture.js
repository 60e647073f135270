// Pictures of what a page shows: a table or a plot is painted onto a canvas as the reader sees it, and saved as PNG.
// Painting happens here because the server would have to draw everything a second time, in other fonts and colours.
(() => {
  "use strict";
  const MARGIN = 24;
  const MOST_PIXELS = 16000;
  const SVG = "http://www.w3.org/2000/svg";
  const PAINT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity",
    "fill-opacity", "vector-effect", "paint-order", "font-family", "font-size", "font-weight", "text-anchor", "display"];

  const clear = (colour) => colour === "transparent" || /[,/]\s*0\)$/.test(colour);

  // A copy of a drawing that carries its styles with it, as an image.
  const pictureOf = (drawing, box) => {
    const copy = drawing.cloneNode(true);
    const from = [drawing, ...drawing.querySelectorAll("*")];
    const to = [copy, ...copy.querySelectorAll("*")];
    from.forEach((element, place) => {
      const style = getComputedStyle(element);
      for (const name of PAINT) to[place].style.setProperty(name, style.getPropertyValue(name));
    });
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    copy.style.overflow = "visible";
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
    return image.decode().then(() => image);
  };

  // Words one by one, each where the browser put it: that is how lines are broken as on the page.
  const paintText = (pen, node, origin) => {
    const style = getComputedStyle(node.parentElement);
    pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    pen.fillStyle = style.color;
    pen.textBaseline = "alphabetic";
    const range = document.createRange();
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const box = range.getBoundingClientRect();
      const size = pen.measureText(word[0]);
      const free = box.height - size.fontBoundingBoxAscent - size.fontBoundingBoxDescent;
      if (box.width) pen.fillText(word[0], box.left - origin.left, box.top - origin.top + free / 2 + size.fontBoundingBoxAscent);
    }
  };

  const paintBox = (pen, element, origin) => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const left = box.left - origin.left;
    const top = box.top - origin.top;
    if (!clear(style.backgroundColor)) {
      pen.fillStyle = style.backgroundColor;
      pen.beginPath();
      pen.roundRect(left, top, box.width, box.height, parseFloat(style.borderTopLeftRadius) || 0);
      pen.fill();
    }
    const line = parseFloat(style.borderBottomWidth);
    if (line && style.borderBottomStyle !== "none" && !clear(style.borderBottomColor)) {
      pen.fillStyle = style.borderBottomColor;
      pen.fillRect(left, top + box.height - line, box.width, line);
    }
  };

  const paint = async (pen, element, origin) => {
    if (element.matches(".reader-only, [hidden]") || !element.checkVisibility()) return;
    if (element.namespaceURI === SVG) {
      // The drawing may reach beyond its box, so the image is as large as that box and a border around it.
      const box = element.getBoundingClientRect();
      if (box.width && box.height) pen.drawImage(await pictureOf(element, box), box.left - origin.left, box.top - origin.top);
      return;
    }
    paintBox(pen, element, origin);
    for (const node of element.childNodes) {
      if (node instanceof Text) paintText(pen, node, origin);
      else if (node instanceof Element) await paint(pen, node, origin);
    }
  };

  const pictureFile = async (element) => {
    element.classList.add("is-pictured");
    try {
      const box = element.getBoundingClientRect();
      const width = Math.max(box.width, element.scrollWidth) + 2 * MARGIN;
      const height = box.height + 2 * MARGIN;
      const scale = Math.min(2, MOST_PIXELS / Math.max(width, height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      const pen = canvas.getContext("2d");
      pen.scale(scale, scale);
      pen.fillStyle = getComputedStyle(document.body).backgroundColor;
      pen.fillRect(0, 0, width, height);
      await paint(pen, element, { left: box.left - MARGIN, top: box.top - MARGIN });
      return await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    } finally {
      element.classList.remove("is-pictured");
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-picture]") : null;
    const element = button && document.getElementById(button.dataset.picture);
    if (!element) return;
    button.disabled = true;
    try {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await pictureFile(element));
      link.download = `${button.dataset.name}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } finally {
      button.disabled = false;
    }
  });
})();
