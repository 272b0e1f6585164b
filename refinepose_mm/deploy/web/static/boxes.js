// Boxes over a photo, one for each person: drawn with the mouse, moved and resized with mouse,
// finger or keys.

const SMALLEST = 8; // pixels of the screen; a smaller box is a slip of the mouse
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CORNERS = { nw: [0, 1], ne: [2, 1], sw: [0, 3], se: [2, 3] }; // the edges that each moves

export class Boxes {
  // `stage` has the photo's size on the screen; `changed` is called after each change.
  constructor(stage, changed) {
    this.stage = stage;
    this.changed = changed;
    this.elements = [];
    this.size = [0, 0];
    stage.addEventListener('pointerdown', (event) => this.#draw(event));
  }

  // Start over on a photo of this size.
  reset(width, height) {
    this.size = [width, height];
    this.clear();
  }

  clear() {
    for (const element of this.elements.splice(0)) element.remove();
  }

  // [left, top, right, bottom] of each box, in whole pixels of the photo.
  get all() {
    return this.elements.map(({ edges }) => [...edges]);
  }

  // A box in the middle, for keys and fingers.
  addInTheMiddle() {
    const [width, height] = this.size;
    const element = this.#add([width / 4, height / 8, width * 3 / 4, height * 7 / 8]);
    element.focus();
    this.changed();
  }

  #add(edges) {
    const element = document.createElement('div');
    element.className = 'box';
    element.tabIndex = 0;
    element.setAttribute('role', 'group');
    element.setAttribute('aria-describedby', 'box-keys');
    for (const name of Object.keys(CORNERS)) {
      const corner = document.createElement('span');
      corner.className = `corner ${name}`;
      corner.dataset.corner = name;
      element.append(corner);
    }
    const close = document.createElement('button');
    close.type = 'button';
    close.className = 'close';
    close.textContent = '×';
    close.addEventListener('click', () => this.#remove(element));
    element.append(close);
    element.addEventListener('pointerdown', (event) => this.#drag(event, element));
    element.addEventListener('keydown', (event) => this.#key(event, element));
    this.elements.push(element);
    this.stage.append(element);
    this.#place(element, edges);
    return element;
  }

  #remove(element) {
    const index = this.elements.indexOf(element);
    this.elements.splice(index, 1);
    element.remove();
    this.elements.forEach((other) => this.#place(other, other.edges)); // numbers have changed
    this.elements[Math.min(index, this.elements.length - 1)]?.focus();
    this.changed();
  }

  #place(element, edges) {
    const [width, height] = this.size;
    const [left, top, right, bottom] = edges.map(Math.round);
    element.edges = [left, top, right, bottom];
    element.style.left = `${100 * left / width}%`;
    element.style.top = `${100 * top / height}%`;
    element.style.width = `${100 * (right - left) / width}%`;
    element.style.height = `${100 * (bottom - top) / height}%`;
    const number = this.elements.indexOf(element) + 1;
    element.setAttribute('aria-label', `Box ${number}: left ${left}, top ${top}, right ${right}, `
      + `bottom ${bottom}`);
    element.querySelector('.close').setAttribute('aria-label', `Remove box ${number}`);
  }

  // The place of a pointer in pixels of the photo, and how many of them a pixel of the screen is.
  #where(event) {
    const { left, top, width } = this.stage.getBoundingClientRect();
    const unit = this.size[0] / width;
    const inside = (value, most) => Math.min(Math.max(value, 0), most);
    return {
      unit,
      place: [inside((event.clientX - left) * unit, this.size[0]),
        inside((event.clientY - top) * unit, this.size[1])],
    };
  }

  #draw(event) {
    if (event.target.closest('.box') || event.button !== 0 || event.pointerType === 'touch') return;
    event.preventDefault();
    const { place: start, unit } = this.#where(event);
    let element = null;
    this.#follow(event, (place) => {
      const edges = [0, 1].map((axis) => Math.min(start[axis], place[axis]))
        .concat([0, 1].map((axis) => Math.max(start[axis], place[axis])));
      const size = Math.min(edges[2] - edges[0], edges[3] - edges[1]);
      if (size < SMALLEST * unit) return;
      if (element) this.#place(element, edges);
      else element = this.#add(edges);
    }, () => element?.focus());
  }

  #drag(event, element) {
    if (event.target.closest('.close') || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    element.focus();
    const { place: start } = this.#where(event);
    const edges = [...element.edges];
    const { corner } = event.target.dataset;
    this.#follow(event, (place) => {
      this.#move(element, edges, [0, 1].map((axis) => place[axis] - start[axis]),
        CORNERS[corner]);
    });
  }

  // Move a box that had `edges`, or only those edges that `which` names.
  #move(element, edges, by, which) {
    const least = SMALLEST * this.size[0] / this.stage.clientWidth;
    const moved = [...edges];
    for (const axis of [0, 1]) {
      const most = this.size[axis];
      if (!which) {
        const step = Math.min(Math.max(by[axis], -edges[axis]), most - edges[axis + 2]);
        moved[axis] += step;
        moved[axis + 2] += step;
      } else if (which[axis] === axis) {
        moved[axis] = Math.min(Math.max(edges[axis] + by[axis], 0), edges[axis + 2] - least);
      } else {
        moved[axis + 2] = Math.max(Math.min(edges[axis + 2] + by[axis], most),
          edges[axis] + least);
      }
    }
    this.#place(element, moved);
  }

  // Call `move` with each place of a pressed pointer, then `done`, and say that boxes have changed.
  #follow(event, move, done = () => {}) {
    const before = JSON.stringify(this.all);
    const moved = (other) => {
      if (other.pointerId === event.pointerId) move(this.#where(other).place);
    };
    const ended = (other) => {
      if (other.pointerId !== event.pointerId) return;
      window.removeEventListener('pointermove', moved);
      for (const kind of ['pointerup', 'pointercancel']) window.removeEventListener(kind, ended);
      done();
      if (JSON.stringify(this.all) !== before) this.changed();
    };
    window.addEventListener('pointermove', moved);
    for (const kind of ['pointerup', 'pointercancel']) window.addEventListener(kind, ended);
  }

  // Arrows move a box, with Shift they move its right and lower edge; Delete removes it.
  #key(event, element) {
    if (event.target !== element) return;
    if (event.key === 'Delete' || event.key === 'Backspace') {
      this.#remove(element);
    } else if (KEYS[event.key]) {
      const step = Math.max(1, Math.round(this.size[0] / 100));
      this.#move(element, element.edges, KEYS[event.key].map((sign) => sign * step),
        event.shiftKey ? CORNERS.se : undefined);
      this.changed();
    } else {
      return;
    }
    event.preventDefault();
  }
}
