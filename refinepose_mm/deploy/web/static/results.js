// Keypoints as files and as tables.

const rounded = (value, digits) => Number(value.toFixed(digits));

// As in predictions.json of `refinepose predict`: coordinates in pixels of the photo.
export function keypointsJson(photo, persons, about) {
  const content = {
    image: photo.name,
    size: [photo.width, photo.height],
    model: about.page.name,
    persons: persons.map(({ names, keypoints, scores, score, box }) => ({
      keypoints: keypoints.map((place) => place.map((value) => rounded(value, 2))),
      scores: scores.map((value) => rounded(value, 4)),
      names,
      score: rounded(score, 4),
      box,
    })),
  };
  return new Blob([JSON.stringify(content, null, 1)], { type: 'application/json' });
}

// Let the browser save a blob under a name.
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A table for each person.
export function fillTables(parent, persons, about) {
  parent.replaceChildren(...persons.map((person, number) => {
    const table = document.createElement('table');
    table.createCaption().textContent = `Person ${number + 1}, score ${person.score.toFixed(2)}`;
    const head = table.createTHead().insertRow();
    for (const title of ['joint', 'x', 'y', 'score']) {
      const cell = document.createElement('th');
      cell.scope = 'col';
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    person.names.forEach((name, k) => {
      const row = body.insertRow();
      const title = document.createElement('th');
      title.scope = 'row';
      const dot = document.createElement('span');
      dot.className = 'dot';
      dot.style.background = `rgb(${about.page.keypoint_colors[k].join(' ')})`;
      title.append(dot, name.replaceAll('_', ' '));
      row.append(title);
      for (const value of [...person.keypoints[k].map((place) => place.toFixed(1)),
        person.scores[k].toFixed(2)]) row.insertCell().textContent = value;
    });
    return table;
  }));
}
