// Calls of the HTTP API under the signed-in user's token.

export class Problem extends Error {
  constructor(status, content) {
    const fields = (content.errors ?? []).map(({ field, message }) => `${field}: ${message}`);
    super([content.detail ?? `The service answered ${status}.`, ...fields].join("\n"));
    this.status = status;
    this.code = content.code ?? "";
  }
}

export class Api {
  constructor(session) {
    this.session = session;
  }

  async call(method, path, { body, headers = {} } = {}) {
    const answer = await fetch(`/api/calendar${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${await this.session.token()}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const content = answer.status === 204 ? null : await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Problem(answer.status, content ?? {});
    return content;
  }

  async everyEvent(start, end) {
    const items = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({
        start_date: start.toISOString(),
        end_date: end.toISOString(),
        limit: "250",
      });
      if (cursor) query.set("cursor", cursor);
      const page = await this.call("GET", `/events?${query}`);
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor);
    return items;
  }
}
