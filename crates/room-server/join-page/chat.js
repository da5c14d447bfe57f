// Messages to everybody in the room. Apps know them as broadcast messages: reliable data under this topic, the text as
// it is.
const TOPIC = 'zg.bc';
/** Longest message in bytes, as apps have it. */
const TEXT_MAX = 1024;
/** Messages that stay in the list. */
const SHOWN_MAX = 500;

export class Chat {
  #list;

  constructor(list) {
    this.#list = list;
  }

  static fits(text) {
    return new TextEncoder().encode(text).length <= TEXT_MAX;
  }

  /** Sends a message; rejects when it could not be handed over. */
  async send(room, text) {
    const { localParticipant } = room;
    await localParticipant.publishData(new TextEncoder().encode(text), { reliable: true, topic: TOPIC });
    this.#show(localParticipant.name || localParticipant.identity, text);
  }

  /** Takes a data packet of the room; those of other topics are not for people. */
  receive(payload, participant, topic) {
    if (topic !== TOPIC) return;
    this.#show(participant?.name || participant?.identity || '', new TextDecoder().decode(payload));
  }

  clear() {
    this.#list.replaceChildren();
  }

  #show(from, text) {
    const [item, name, time] = ['li', 'b', 'time'].map((tag) => document.createElement(tag));
    name.textContent = from;
    const now = new Date();
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    item.append(name, text, time);
    this.#list.append(item);
    while (this.#list.children.length > SHOWN_MAX) this.#list.firstChild.remove();
    item.scrollIntoView({ block: 'nearest' });
  }
}
