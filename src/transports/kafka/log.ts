/** What a caller's logger must have: the shape of `console`, and of most loggers. */
export interface KafkaLogger {
  debug(message: string, fields: object): void
  info(message: string, fields: object): void
  warn(message: string, fields: object): void
  error(message: string, fields: object): void
}

/** Says nothing. */
export const silent: KafkaLogger = { debug() {}, info() {}, warn() {}, error() {} }
