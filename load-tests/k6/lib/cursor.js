// The position of a reader in one room. To an application a cursor is opaque; a test looks inside, so that it sees a gap.

function parse(cursor) {
  const [epoch, number] = cursor.split(".");
  return { epoch, number: Number(number) };
}

// The cursor before the first event of a room, by any cursor of that room.
export const beginningOf = (cursor) => `${parse(cursor).epoch}.0`;

export class Position {
  constructor(cursor) {
    this.cursor = cursor;
  }

  // Whether an event with this cursor is the next one, a repeated one, or one after a gap.
  take(cursor) {
    const [here, there] = [parse(this.cursor), parse(cursor)];
    if (here.epoch === there.epoch && there.number <= here.number) return "repeated";
    this.cursor = cursor;
    return here.epoch === there.epoch && there.number === here.number + 1 ? "next" : "gap";
  }
}
