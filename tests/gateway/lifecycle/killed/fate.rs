//! What the vendor makes of a write, as its token says.

/// A token, what happens to the requests that bear it (docs/sandbox.md), and
/// how often it is drawn.
pub struct Fate {
    pub token: &'static str,
    pub how: &'static str,
    weight: usize,
}

/// Applied by the vendor, and never answered.
pub const SWALLOWED: &str = "swallowed";

/// Answered at once, and used by more calls than a minute has turns.
pub const GREEDY: &str = "greedy";

/// How often a token may call in a minute: `GREEDY` wants more.
pub const TURNS: usize = 60;

/// The longest that the vendor thinks before it applies a write, in
/// milliseconds.
pub const LONGEST: u64 = 250;

const fn fate(token: &'static str, how: &'static str, weight: usize) -> Fate {
    Fate { token, how, weight }
}

/// One that says `after` is applied when it comes. One that only waits is
/// applied after that, if it is still wanted. All others are not applied.
pub const FATES: [Fate; 20] = [
    fate("slow", "delay=60ms", 12),
    fate("slower", "delay=250ms", 8),
    fate("late", "delay=250ms,after", 8),
    fate("dripping", "drip=2ms", 2),
    fate(SWALLOWED, "never,after", 2),
    fate("ignored", "never", 2),
    fate("cut", "cut", 2),
    fate("cut-late", "cut,after", 2),
    fate("broken-off", "cut-body,after", 2),
    fate("garbled", "garbage,after", 2),
    fate("conflict", "status=409", 1),
    fate("refused", "status=400", 1),
    fate("expired", "", 1),
    fate("unavailable", "status=503", 2),
    fate("unavailable-long", "status=503,retry-after=20", 2),
    fate("throttled", "retry-after=20", 2),
    fate("bad-gateway", "status=502", 1),
    fate("bad-gateway-late", "status=502,after", 2),
    fate("gateway-timeout", "status=504", 1),
    fate("gateway-timeout-late", "status=504,after", 2),
];

/// The rules by which the vendor knows the tokens.
pub fn rules() -> String {
    let fates = FATES.iter().filter(|fate| !fate.how.is_empty());
    fates
        .map(|fate| format!("{} token={}\n", fate.how, fate.token))
        .collect()
}

/// A token; most often one that nothing happens to.
pub fn draw(rng: &mut fastrand::Rng) -> String {
    let unlucky: usize = FATES.iter().map(|fate| fate.weight).sum();
    let mut drawn = rng.usize(..unlucky * 2);
    for fate in &FATES {
        if drawn < fate.weight {
            return fate.token.to_owned();
        }
        drawn -= fate.weight;
    }
    // Many of these, so that they do not wait for their turns.
    format!("prompt-{}", rng.u8(..50))
}
