// Who is signed in: talks to Supabase Auth and keeps the session for this tab.

const KEY = "calsync.session";

export class Refused extends Error {}

export class Session {
  constructor(config) {
    this.config = config;
    this.current = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    this.refreshing = null;
  }

  get email() {
    return this.current?.email ?? "";
  }

  get active() {
    return this.current !== null;
  }

  async signIn(email, password) {
    this.#keep(await this.#ask("token?grant_type=password", { email, password }));
  }

  async signUp(email, password) {
    const answer = await this.#ask("signup", { email, password });
    if (!answer.access_token) throw new Refused("Confirm your e-mail address, then sign in.");
    this.#keep(answer);
  }

  signOut() {
    this.current = null;
    sessionStorage.removeItem(KEY);
  }

  // Returns an access token that is good for a while yet.
  async token() {
    if (!this.current) throw new Refused("Please sign in.");
    if (this.current.expires_at - Date.now() / 1000 < 60) {
      this.refreshing ??= this.#refresh().finally(() => (this.refreshing = null));
      await this.refreshing;
    }
    return this.current.access_token;
  }

  async #refresh() {
    const { refresh_token } = this.current;
    try {
      this.#keep(await this.#ask("token?grant_type=refresh_token", { refresh_token }));
    } catch (fault) {
      if (fault instanceof Refused) this.signOut();
      throw fault;
    }
  }

  #keep(answer) {
    this.current = {
      access_token: answer.access_token,
      refresh_token: answer.refresh_token,
      expires_at: Date.now() / 1000 + answer.expires_in,
      email: answer.user?.email ?? "",
    };
    sessionStorage.setItem(KEY, JSON.stringify(this.current));
  }

  async #ask(path, body) {
    const answer = await fetch(`${this.config.supabase_url}/auth/v1/${path}`, {
      method: "POST",
      headers: { apikey: this.config.publishable_key, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      throw new Refused(content.msg ?? content.message ?? content.error_description ?? "Refused.");
    }
    return content;
  }
}
