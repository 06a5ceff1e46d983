// Raw SQL for the few who need it: migrations, doctor, tests. Everything else calls functions by name.

export type SqlRow = Readonly<Record<string, unknown>>;

export type SqlSession = {
  /**
   * One statement. A parameter takes the type the statement gives it: text as it is, objects as JSON,
   * arrays as Postgres arrays. In answers bigint and numeric are decimal text, timestamps are Dates.
   * Throws a Failure (`database.*`).
   */
  query(sql: string, parameters?: readonly unknown[]): Promise<readonly SqlRow[]>;
  /** Any number of statements without parameters, all or none. Answers nothing. */
  script(sql: string): Promise<void>;
  /** What `work` does with its session is one transaction: committed when it returns, undone when it throws. */
  transaction<Result>(work: (session: SqlSession) => Promise<Result>): Promise<Result>;
};

export type OpenSqlSession = SqlSession & {
  close(): Promise<void>;
};
