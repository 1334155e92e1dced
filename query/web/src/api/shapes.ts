/* The replies of the API, as far as pages read them (GET /api/v1/openapi.json has all). */
import type { Count } from '../figures/count';
import type { Metric, Value } from '../figures/metric';

export interface Window {
	range: string;
	start_ms: number;
	end_ms: number;
	tz: string;
	bins: number;
	bin_edges_ms: number[];
}

export interface Head {
	as_of_ms: number;
	seq: number;
	window: Window;
	metric: Metric;
	tokens_rule: string;
	truncated: boolean;
	next_cursor: string | null;
}

export interface Totals {
	cost_usd: string;
	cost_plan_usd: string;
	tokens: Count;
	input_tokens: Count;
	cache_read_tokens: Count;
	cache_write_tokens: Count;
	output_tokens: Count;
	reasoning_tokens: Count;
	requests: Count;
	errors: Count;
	unpriced: Count;
	sessions: Count;
	saved_usd: string;
	saved_tokens: Count;
	saved_ppm: number;
}

export interface Charted extends Totals {
	value: Value;
	spark: Value[];
}

export interface Agent {
	agent_id: string;
	type: string;
	last_used_ms: number | null;
	never_used: boolean;
}

export interface SealedEmail {
	alg: string;
	kdf: string;
	salt: string;
	iv: string;
	ct: string;
	tag: string;
}

export interface Member extends Charted {
	rank: number | null;
	prev_rank: number | null;
	prev_value: Value | null;
	badge: 'gold' | 'silver' | 'bronze' | null;
	member_id: string;
	display_name: string;
	email?: string;
	email_enc?: SealedEmail;
	email_hash: string;
	role: string;
	pending: boolean;
	removed?: boolean;
	agents: Agent[];
	share_ppm: number;
	last_used_ms: number | null;
	active_now: boolean;
}

export interface TopRepo {
	repo: string;
	url: string;
	sessions: Count;
}

export interface RepoCard extends Charted {
	repo: string;
	url: string;
	last_activity_ms: number;
}

export interface PullCard {
	repo: string;
	number: number;
	url: string;
	value: Value;
	spark: Value[];
	touched: Totals;
	split: Totals;
	sessions: Count;
	last_activity_ms: number;
}

export interface Seats {
	/* 0: no limit */
	seats: number;
	used: number;
}

/* Who asks, so that a page offers what would be allowed. */
export interface Me {
	role: 'admin' | 'member' | 'service' | 'operator';
	member_id: string | null;
	may_manage: boolean;
	may_audit: boolean;
	sees_peers: boolean;
}

/* Where a list goes on. */
export interface Page {
	truncated: boolean;
	next_cursor: string | null;
}

export interface Session extends Totals {
	session: string;
	name: string | null;
	member_id: string | null;
	display_name: string | null;
	agent: string | null;
	repo: string | null;
	pulls: { repo: string; number: number; url: string }[];
	commits: string[];
	first_ms: number;
	last_ms: number;
	value: Value;
}

export interface SessionRequest {
	id: string;
	ts: number;
	model: string;
	tokens: Count;
	input_tokens: Count;
	cache_read_tokens: Count;
	cache_write_tokens: Count;
	output_tokens: Count;
	cost_usd: string | null;
	status: number;
	duration_ms: number | null;
}

export interface SessionDetail extends Head, Session {
	mean_duration_ms: number | null;
	spark: Value[];
	models: (Totals & { model: string; value: Value })[];
	rows: SessionRequest[];
}

export interface TeamMember {
	gitEmailHash: string;
	email?: string;
	emailEnc?: SealedEmail;
	displayName: string;
	firstSeen: string | null;
	lastActive: string | null;
	hourlyRate?: string | null;
	events: Count;
	role: string;
	cost_usd: string;
	active_ms: number;
	lines: Count;
	fix_ms: number;
	true_cost_usd: string;
	true_cost_per_line_usd: string | null;
	estimated_loss_usd: string | null;
}
