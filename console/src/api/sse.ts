/** A message of a stream of server-sent events. */
export interface Message {
  event: string;
  data: string;
  id: string;
}

/**
 * readEvents calls use for each message of a stream until the stream ends. It reads the part of the format that the gateway
 * writes: fields event, data and id, and comments. It calls alive for every piece that arrives.
 */
export async function readEvents(body: ReadableStream<Uint8Array>, use: (m: Message) => void, alive: () => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest: string[] = [];
  let fields: Message = { event: "", data: "", id: "" };
  const take = (line: string) => {
    if (line === "") {
      if (fields.data) use(fields);
      fields = { event: "", data: "", id: fields.id };
      return;
    }
    const colon = line.indexOf(":");
    if (colon < 1) return;
    const name = line.slice(0, colon);
    const value = line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "event") fields.event = value;
    else if (name === "id") fields.id = value;
    else if (name === "data") fields.data = fields.data ? `${fields.data}\n${value}` : value;
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const text = decoder.decode(value, { stream: true });
    const lines = text.split("\n");
    if (lines.length === 1) {
      rest.push(text);
      continue;
    }
    lines[0] = rest.join("") + lines[0];
    rest = [lines.pop() ?? ""];
    for (const line of lines) take(line);
  }
}
