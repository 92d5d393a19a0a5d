/** What a history can hold: JSON, and nothing that JSON would change on its way through text. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject

/** A JSON object. A property that is `undefined` counts as absent. */
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined
}

/** An event as a history holds it: JSON with a `type`, deep-frozen. */
export interface RecordedEvent extends JsonObject {
  readonly type: string
}
