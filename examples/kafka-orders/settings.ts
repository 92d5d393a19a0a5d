/** Where everything is, from the environment: the same for the main program and for its workers. */
export const settings = {
  /** `npm run kafka` prints its brokers. */
  brokers: (process.env.KAFKA ?? 'localhost:9092').split(','),
  /** Without it, the orders are in files, which one worker can have. */
  databaseUrl: process.env.DATABASE_URL,
  /** Where the files are. */
  dir: process.env.ORDERS_DIR ?? 'orders',
  topic: process.env.ORDERS_TOPIC ?? 'orders',
  partitions: 12,
}

export const topics = {
  orders: settings.topic,
  results: `${settings.topic}-results`,
  deadLetters: `${settings.topic}-dead-letters`,
}

/** The consumer group of the workers. */
export const group = `${settings.topic}-workers`
