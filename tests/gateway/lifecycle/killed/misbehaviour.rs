//! Tokens that select how the sandbox handles a write.

/// A token, the misbehaviour of the sandbox for its requests (docs/sandbox.md),
/// and how often it is drawn.
pub struct Misbehaviour {
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

const fn misbehaviour(token: &'static str, rule: &'static str, weight: usize) -> Misbehaviour {
    Misbehaviour {
        token,
        rule,
        weight,
    }
}

/// The sandbox applies a write with `after` on arrival, and a write with only
/// a delay after it, unless it was cancelled. It applies no other.
pub const MISBEHAVIOURS: [Misbehaviour; 20] = [
    misbehaviour("slow", "delay=60ms", 12),
    misbehaviour("slower", "delay=250ms", 8),
    misbehaviour("late", "delay=250ms,after", 8),
    misbehaviour("dripping", "drip=2ms", 2),
    misbehaviour(UNANSWERED, "never,after", 2),
    misbehaviour("ignored", "never", 2),
    misbehaviour("cut", "cut", 2),
    misbehaviour("cut-late", "cut,after", 2),
    misbehaviour("broken-off", "cut-body,after", 2),
    misbehaviour("garbled", "garbage,after", 2),
    misbehaviour("conflict", "status=409", 1),
    misbehaviour("refused", "status=400", 1),
    misbehaviour("expired", "", 1),
    misbehaviour("unavailable", "status=503", 2),
    misbehaviour("unavailable-long", "status=503,retry-after=20", 2),
    misbehaviour("throttled", "retry-after=20", 2),
    misbehaviour("bad-gateway", "status=502", 1),
    misbehaviour("bad-gateway-late", "status=502,after", 2),
    misbehaviour("gateway-timeout", "status=504", 1),
    misbehaviour("gateway-timeout-late", "status=504,after", 2),
];

/// The rules of all tokens, for the sandbox.
pub fn rules() -> String {
    let all = MISBEHAVIOURS.iter();
    all.filter(|misbehaviour| !misbehaviour.rule.is_empty())
        .map(|misbehaviour| format!("{} token={}\n", misbehaviour.rule, misbehaviour.token))
        .collect()
}

/// Draws a token; in half of the cases one without misbehaviour.
pub fn draw_token(rng: &mut fastrand::Rng) -> String {
    let total: usize = MISBEHAVIOURS.iter().map(|it| it.weight).sum();
    let mut drawn = rng.usize(..total * 2);
    for misbehaviour in &MISBEHAVIOURS {
        if drawn < misbehaviour.weight {
            return misbehaviour.token.to_owned();
        }
        drawn -= misbehaviour.weight;
    }
    // Many tokens, so that the rate limiter delays none of them.
    format!("prompt-{}", rng.u8(..50))
}
