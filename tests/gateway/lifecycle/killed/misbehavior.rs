//! Tokens that select how the sandbox handles a write.

/// A token, the misbehavior of the sandbox for its requests (docs/sandbox.md),
/// and how often it is drawn.
pub struct Misbehavior {
    pub token: &'static str,
    pub rule: &'static str,
    weight: usize,
}

/// A token whose writes are applied and never answered.
pub const UNANSWERED: &str = "unanswered";

/// A token whose writes are answered at once, with more calls than the rate
/// limiter permits in a minute.
pub const OVER_LIMIT: &str = "over-limit";

/// The rate limit of a token, which `OVER_LIMIT` exceeds.
pub const REQUESTS_PER_MINUTE: usize = 60;

/// The longest delay before the sandbox applies a write, in milliseconds.
pub const MAX_DELAY: u64 = 250;

const fn misbehavior(token: &'static str, rule: &'static str, weight: usize) -> Misbehavior {
    Misbehavior {
        token,
        rule,
        weight,
    }
}

/// The sandbox applies a write with `after` on arrival, and a write with only
/// a delay after it, unless it was cancelled. It applies no other.
pub const MISBEHAVIORS: [Misbehavior; 20] = [
    misbehavior("slow", "delay=60ms", 12),
    misbehavior("slower", "delay=250ms", 8),
    misbehavior("late", "delay=250ms,after", 8),
    misbehavior("dripping", "drip=2ms", 2),
    misbehavior(UNANSWERED, "never,after", 2),
    misbehavior("ignored", "never", 2),
    misbehavior("cut", "cut", 2),
    misbehavior("cut-late", "cut,after", 2),
    misbehavior("broken-off", "cut-body,after", 2),
    misbehavior("garbled", "garbage,after", 2),
    misbehavior("conflict", "status=409", 1),
    misbehavior("refused", "status=400", 1),
    misbehavior("expired", "", 1),
    misbehavior("unavailable", "status=503", 2),
    misbehavior("unavailable-long", "status=503,retry-after=20", 2),
    misbehavior("throttled", "retry-after=20", 2),
    misbehavior("bad-gateway", "status=502", 1),
    misbehavior("bad-gateway-late", "status=502,after", 2),
    misbehavior("gateway-timeout", "status=504", 1),
    misbehavior("gateway-timeout-late", "status=504,after", 2),
];

/// The rules of all tokens, for the sandbox.
pub fn rules() -> String {
    let all = MISBEHAVIORS.iter();
    all.filter(|misbehavior| !misbehavior.rule.is_empty())
        .map(|misbehavior| format!("{} token={}\n", misbehavior.rule, misbehavior.token))
        .collect()
}

/// Draws a token; in half of the cases one without misbehavior.
pub fn draw_token(rng: &mut fastrand::Rng) -> String {
    let total: usize = MISBEHAVIORS.iter().map(|it| it.weight).sum();
    let mut drawn = rng.usize(..total * 2);
    for misbehavior in &MISBEHAVIORS {
        if drawn < misbehavior.weight {
            return misbehavior.token.to_owned();
        }
        drawn -= misbehavior.weight;
    }
    // Many tokens, so that the rate limiter delays none of them.
    format!("prompt-{}", rng.u8(..50))
}
