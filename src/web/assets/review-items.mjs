import { filled, make, texts } from './forms.mjs';

const language = document.documentElement.lang;
const percent = (value) => new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 0 }).format(value);
const number = (value) => new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(value);
const UNITS = { mm2: 'mm²', mm3: 'mm³', ml: 'mL' };
/** A property, a kind or a value in the reader's language; what no analysis of ours says, as it came. */
const word = (kind, name) => texts.words[kind][name] ?? name;
let items = 0;

export function findingItem(finding, tools) {
  const { id, kind, code, score, measurements, attributes = [], review } = finding;
  const what = kind === 'label' ? code.meaning : texts.words.kinds[kind] ?? code.meaning;
  const facts = [...attributes.map(({ name, value }) => `${word('properties', name)}: ${word('values', value)}`), ...measurements.map(measured)];
  return item(`finding ${id}`, { what, facts, hint: review?.state === 'added' ? '' : filled(texts.score, { percent: percent(score) }), picture: pictureOf(`finding=${encodeURIComponent(id)}`, what, tools), review }, tools, [
    // What is edited is accepted as the model made it, not as it stands.
    { choice: 'accept', text: review?.state === 'edited' ? texts.acceptModel : texts.accept, decisionOf: () => ({ decision: 'accept', finding: id }) },
    {
      choice: 'reject', text: texts.reject, fieldsOf: (kept) => ({ reason: reasonField(kept?.reason) }),
      decisionOf: ({ reason, comment }) => (reason.value === '' || (reason.value === 'other' && comment.value.trim() === '') ? undefined : { decision: 'reject', finding: id, reason: reason.value }),
    },
    ...(measurements.length === 0 ? [] : [{
      choice: 'edit', text: texts.edit,
      fieldsOf: (kept) => Object.fromEntries(measurements.map(({ name, value, unit }) => [name, numberField(`${word('properties', name)}, ${UNITS[unit] ?? unit}`, kept?.[name] ?? value, unit)])),
      decisionOf: (fields) => {
        const changed = measurements.map(({ name, unit }) => ({ name, unit, value: fields[name].valueAsNumber })).filter(({ value }, index) => value !== measurements[index].value);
        return changed.length === 0 ? undefined : { decision: 'edit', finding: id, measurements: changed };
      },
    }]),
  ]);
}

/** What was found is told with the picture of where; what was not needs none. */
export function labelItem({ name, displayName = name, probability, threshold, positive, review }, tools) {
  const model = review?.state === 'disagreed' ? !positive : positive;
  const told = filled(model ? texts.above : texts.below, { percent: percent(probability), threshold: percent(threshold) });
  return item(`label ${name}`, { what: displayName, facts: [positive ? texts.present : texts.absent], hint: told, picture: positive ? pictureOf(`label=${encodeURIComponent(name)}`, displayName, tools) : '', review }, tools, [
    { choice: 'present', text: texts.isPresent, decisionOf: () => ({ decision: 'label', label: name, agrees: model }) },
    { choice: 'absent', text: texts.isAbsent, decisionOf: () => ({ decision: 'label', label: name, agrees: !model }) },
  ]);
}

export function segmentItem({ number: segment, name, volumeMl, review }, tools) {
  return item(`segment ${String(segment)}`, { what: word('kinds', name.trim().toLowerCase().replaceAll(/[\s_]+/g, '-')), facts: [`${number(volumeMl)} mL`], review }, tools, ['agree', 'disagree'].map((choice) => (
    { choice, text: texts[choice], decisionOf: () => ({ decision: 'segment', segment, agrees: choice === 'agree' }) })));
}

/** Added here, and not saved. */
export function addedItem({ kind, measurements = [], comment }, remove) {
  const what = texts.words.kinds[kind] ?? kind;
  const leaveOut = make('button', { type: 'button', textContent: texts.remove });
  leaveOut.addEventListener('click', remove);
  return make('article', { className: 'decision' }, make('div', {}, make('h3', { textContent: filled(texts.findingAdded, { what }) }), badge(texts.unsaved), make('p', { textContent: [...measurements.map(measured), comment].filter((part) => part !== undefined).join(' · ') }), leaveOut));
}

function item(about, { what, facts, hint = '', picture = '', review }, { isOpen, pending, keep }, choices) {
  const state = make('span', {}, stateOf(review));
  const body = make('div', {}, make('h3', { textContent: what }), state, make('ul', { className: 'facts' }, ...facts.map((fact) => make('li', { textContent: fact }))), make('p', { className: 'hint', textContent: hint }));
  if (isOpen) {
    body.append(choicesOf(what, choices, pending.get(about), (chosen) => {
      keep(about, chosen && { ...chosen, what });
      const said = chosen === undefined ? stateOf(review) : badge(chosen.decision === undefined ? texts.unfinished : texts.unsaved);
      if (state.textContent !== said.textContent) state.replaceChildren(said);
    }));
  }
  return make('article', { className: `decision ${review?.state ?? ''}` }, picture, body);
}

/**
 * What may be chosen, with the fields of what is.
 *
 * @param before  what was chosen and not saved
 * @param tell  is told what is chosen, with what is in its fields; undefined once it is undone
 */
function choicesOf(what, choices, before, tell) {
  const group = `choice-${String(++items)}`;
  const fields = make('div', { className: 'fields' });
  const undo = make('button', { type: 'button', className: 'undo', textContent: texts.undo, hidden: true });
  undo.append(make('span', { className: 'unseen', textContent: ` · ${what}` }));
  const comment = make('input', { maxLength: 2000, autocomplete: 'off' });
  const commentField = fieldOf(texts.comment, comment);
  const choose = ({ choice, fieldsOf, decisionOf }, kept) => {
    const own = fieldsOf?.(kept) ?? {};
    const inputs = { ...Object.fromEntries(Object.entries(own).map(([name, { input }]) => [name, input])), comment };
    fields.replaceChildren(...Object.values(own).map(({ field }) => field), commentField);
    fields.oninput = () => {
      const words = comment.value.trim();
      const decision = Object.values(inputs).every((input) => input.validity.valid) ? decisionOf(inputs) : undefined;
      tell({ choice, values: Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value])), decision: decision && { ...decision, ...(words !== '' && { comment: words }) } });
    };
    undo.hidden = false;
    fields.oninput();
  };
  const radios = choices.map((one) => {
    const radio = make('input', { type: 'radio', name: group, value: one.choice, checked: before?.choice === one.choice });
    radio.addEventListener('change', () => { choose(one); });
    return [radio, make('label', { className: 'choice' }, radio, ` ${one.text}`)];
  });
  undo.addEventListener('click', () => {
    tell(undefined);
    for (const [radio] of radios) radio.checked = false;
    comment.value = '';
    fields.replaceChildren();
    fields.oninput = null;
    undo.hidden = true;
    radios[0][0].focus();
  });
  const chosen = choices.find(({ choice }) => choice === before?.choice);
  if (chosen) {
    comment.value = before.values.comment;
    choose(chosen, before.values);
  } else if (before) tell(undefined);
  return make('fieldset', {}, make('legend', { className: 'unseen', textContent: filled(texts.decisionOf, { what }) }), make('div', { className: 'choices' }, ...radios.map(([, label]) => label), undo), fields);
}

function stateOf(review) {
  if (review === undefined) return badge(texts.undecided);
  const reason = review.reason === undefined ? '' : ` (${reasonText(review.reason)})`;
  return badge(`${texts.states[review.state]}${reason}${review.bySignOff ? ` · ${texts.bySignOff}` : ''}`);
}

function badge(text) {
  return make('strong', { className: 'badge', textContent: text });
}

function measured({ name, value, unit }) {
  return `${word('properties', name)}: ${number(value)} ${UNITS[unit] ?? unit}`;
}

/** The version is in the address, because browsers show a picture that they have without asking. */
function pictureOf(query, what, { resultPath, version }) {
  const src = `${resultPath}/preview.png?${query}&version=${String(version)}`;
  const picture = make('img', { src, alt: filled(texts.picture, { what }), loading: 'lazy' });
  const figure = make('figure', {}, make('a', { href: src }, picture));
  // Of a study whose images went.
  picture.addEventListener('error', () => { figure.remove(); });
  return figure;
}

function fieldOf(label, input) {
  input.id = `field-${String(++items)}`;
  return make('div', { className: 'field' }, make('label', { htmlFor: input.id, textContent: label }), input);
}

function reasonField(value = '') {
  const input = make('select', { required: true });
  input.append(document.getElementById('reasons').content.cloneNode(true));
  input.value = value;
  return { input, field: fieldOf(texts.why, input) };
}

function reasonText(reason) {
  return document.getElementById('reasons').content.querySelector(`[value="${reason}"]`)?.textContent ?? reason;
}

/** Sizes are not negative; attenuation may be. */
function numberField(label, value, unit) {
  const input = make('input', { type: 'number', step: 'any', required: true, value: String(value) });
  if (unit !== 'HU') input.min = '0';
  return { input, field: fieldOf(label, input) };
}
