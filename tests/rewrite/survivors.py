"""Mutants of equal rules that are true rules themselves, and why; SymPy proves each in
`test_mutants.py`."""

LACKS = "an operand without the axis is a special case"
SIGN = "what is added may have any sign"
SWAP = "both orders give the same square"
ANY = "what is subtracted cancels, whatever it is"
ZERO = "every multiple of zero is zero"
MODEL = "the second argument of like gives axes alone"
BOTH = "both sides have it, whatever it is"
MORE = "there are more channels of ones than are read"
START = "differences of prefix sums do not see where they start"
BEHIND = "what is padded behind is not read"
FORGOTTEN = "what there is before the first key is brought to 0"
HAS = "an operand with the axis is as any other that has it"
FEWER = "at least two are a special case of at least one"

EQUAL: dict[str, dict[str, str]] = {
    "negative_out_of_sum": {
        'x: ""': LACKS,
        'ys: ""': LACKS,
        "many('j'), over \"\"": LACKS,
    },
    "cancel_in_a_sum": {
        'zs: "j"': HAS,
        "many(''), over \"j\"": HAS,
        "1 + 1": FEWER,
    },
    "difference_with_itself": {
        "−right": ZERO,
        "2·right": ZERO,
    },
    "squared_distance": {
        "x - y, swapped": SWAP,
    },
    "product_by_squares": {
        "x - y, swapped": SWAP,
    },
    "concat_of_maps": {
        'x: ""': LACKS,
        'w: "e"': LACKS,
        'u: "f"': LACKS,
    },
    "share_by_sigmoid": {
        "vs.sum(vs.exp(s), 'm'), with max": ANY,
        "vs.sum(vs.exp(t), 'k'), with max": ANY,
    },
    "stabilise_log_sum_exp": {
        "vs.max(s, 'm'), with min": ANY,
    },
    "stream_softmax": {
        "0.0 + 1": FORGOTTEN,
        "0.0 + 1 (2)": FORGOTTEN,
    },
    "stream_softmax_in_blocks": {
        "0.0 + 1": FORGOTTEN,
        "0.0 + 1 (2)": FORGOTTEN,
    },
    "stream_sum": {
        'xs: ""': LACKS,
        'y: ""': LACKS,
        "many('m'), over \"\"": LACKS,
    },
    "normalise_rows_late": {
        'v: ""': LACKS,
        "vs.sqrt(vs.contract(a, a, over='m')), with exp": BOTH,
        "a → v": BOTH,
        "a → v (2)": BOTH,
    },
    "centre_weights_late": {
        "s → v": BOTH,
    },
    "mask_values_instead_of_weights": {
        'keep: "bool"': LACKS,
        'x: ""': LACKS,
        'v: ""': LACKS,
        'ys: ""': LACKS,
        "many('m'), over \"\"": LACKS,
    },
    "softmax_of_masked": {
        's: ""': LACKS,
        "vs.sum(e, 'm') + empty, with Sub": SIGN,
    },
    "sink_by_sigmoid": {
        'b: "m"': LACKS,
    },
    "unnormalised_by_softmax": {
        'vs_: ""': LACKS,
        "many('m'), over \"\"": LACKS,
    },
    "cosine_of_unit_vectors": {
        "vs.sqrt(vs.contract(x, x, over='c')), with exp": BOTH,
        "q → k": BOTH,
        "k → q": BOTH,
    },
    "gains_on_one_side": {
        'q: ""': LACKS,
        'k: ""': LACKS,
        'gs: ""': LACKS,
        'hs: ""': LACKS,
        "many('c'), over \"\"": LACKS,
        "many('c'), over \"\" (2)": LACKS,
    },
    "centring_ignores_a_shift": {
        "x + c, with Sub": SIGN,
    },
    "sum_of_centred": {
        "x - vs.mean(x, 'd'), swapped": SWAP,
        "vs.sum(x, 'd'), with max": ANY,
        "vs.mean(x, 'd'), over \"\"": LACKS,
        "−right": ZERO,
        "2·right": ZERO,
    },
    "variance_in_one_pass": {
        "x - vs.mean(x, 'd'), swapped": SWAP,
    },
    "gain_and_shift_into_a_map": {
        'x: ""': LACKS,
        'gain: ""': LACKS,
        'shift: ""': LACKS,
        'w: ""': LACKS,
    },
    "score_the_table_then_read": {
        'q: ""': LACKS,
        'table: "b"': LACKS,
    },
    "sliding_window_as_windows": {
        'q: "n"': LACKS,
        'q: "c"': LACKS,
        'k: "m:n"': LACKS,
    },
    "sum_in_sorted_order": {
        "vs.sum(s, 'm'), with max": ANY,
    },
    "slope_of_distance_is_a_bias_of_keys": {
        's: "n"': LACKS,
        'slope: "n"': "a slope for each query is the same for all of its keys",
        "vs.iota('m'), over \"n\"": "what is added is the same for all keys",
        "m - n, with Add": SIGN,
    },
    "causal_distance_has_no_sign": {
        "n - m, with Add": "a sum of places has no sign either",
    },
    "rotations_meet_in_their_difference": {
        'x: ""': LACKS,
        'y: ""': LACKS,
        'u: ""': LACKS,
        'v: ""': LACKS,
        'ca: ""': LACKS,
        'sa: ""': LACKS,
        'cb: ""': LACKS,
        'sb: ""': LACKS,
    },
    "length_of_rotated": {
        'x: ""': LACKS,
        'y: ""': LACKS,
        'cos: ""': LACKS,
        'sin: ""': LACKS,
        "rotated(x, y, cos, sin), swapped": SWAP,
    },
    "sum_between_by_prefix_sums": {
        "0.0 + 1 (2)": START,
    },
    "gated_linear_attention_as_loop": {
        "0 + 1 (2)": BEHIND,
    },
    "weighted_prefix_sum_as_loop": {
        'x: ""': LACKS,
        'ys: ""': LACKS,
        "many('m:n'), over \"\"": LACKS,
    },
    "causal_linear_attention_in_chunks": {
        'q: "n"': LACKS,
        'k: "m:n"': LACKS,
    },
    "retention_in_chunks": {
        'q: "n"': LACKS,
        'k: "m:n"': LACKS,
    },
    "causal_linear_attention_in_blocks": {
        'q: "i c"': LACKS,
        'q: "b i"': LACKS,
        'q: "b c"': LACKS,
        'k: "d:b j:i"': LACKS,
        'k: "i d:b j:i c"': LACKS,
        'k: "d:b c"': LACKS,
        'v: "i d:b j:i"': LACKS,
        'v: "d:b"': LACKS,
        "vs.iota('j:i'), over \"b\"": LACKS,
        "vs.iota('j:i'), over \"i\"": LACKS,
    },
    "unfold_softmax_safely": {
        "s - vs.max(s, 'm'), with Add": SIGN,
        "vs.max(s, 'm'), with min": ANY,
    },
    "shift_masked_softmax": {
        'keep: "bool"': LACKS,
        's: ""': LACKS,
        "s + c, with Sub": SIGN,
    },
    "centre_keys": {
        'q: ""': LACKS,
        'k: "m"': LACKS,
        "k - vs.mean(k, 'm'), with Add": SIGN,
    },
    "bias_of_keys_is_dead": {
        'qs: ""': LACKS,
        'k: "m"': LACKS,
        'b: ""': LACKS,
        "many('c'), over \"\"": LACKS,
        "k + b, with Sub": SIGN,
        "qs → k (3)": MODEL,
        "qs → b (3)": MODEL,
    },
    "weights_sum_to_one": {
        "vs.sum(s, 'm'), with max": ANY,
    },
    "mix_of_shift": {
        'y: ""': LACKS,
    },
    "normalise_late": {
        'xs: ""': LACKS,
        'ys: ""': LACKS,
        "many('m'), over \"\"": LACKS,
        "many('m'), over \"\" (2)": LACKS,
    },
    "denominator_as_a_channel": {
        'v: "e"': LACKS,
        "1 + 1": MORE,
        "vs.sum(total, 'z'), with max": ANY,
    },
    "attend_in_blocks": {
        'v: "m"': LACKS,
        'v: "k"': LACKS,
    },
    "shares_by_softmax": {
        "vs.sum(vs.exp(s), 'k'), with max": ANY,
    },
    "factor_softmax_of_sum": {
        'w: ""': LACKS,
        'k: ""': LACKS,
        'vs_: ""': LACKS,
        "many('m'), over \"\"": LACKS,
    },
    "factor_softmax_of_sum_safely": {
        'vs_: ""': LACKS,
        "many('m'), over \"\"": LACKS,
        "w - vs.max(w, 'm'), with Add": SIGN,
        "k - vs.max(k, 'm'), with Add": SIGN,
        "vs.max(w, 'm'), with min": ANY,
        "vs.max(k, 'm'), with min": ANY,
        "w → k (2)": ANY,
        "k → w (2)": ANY,
    },
    "reassociate": {
        'qs: ""': LACKS,
        'ks: "r"': LACKS,
        'ks: "j"': LACKS,
        'vs_: ""': LACKS,
        "many('r'), over \"\"": LACKS,
        "many('r j'), over \"j\"": LACKS,
        "many('r j'), over \"r\"": LACKS,
        "many('j'), over \"\"": LACKS,
    },
    "scale_one_factor": {
        'x: ""': LACKS,
        'ys: ""': LACKS,
        "many('j'), over \"\"": LACKS,
    },
    "contract_a_sum": {
        'ws: ""': LACKS,
        'x: ""': LACKS,
        'ys: ""': LACKS,
        "many('j'), over \"\"": LACKS,
        "many('j'), over \"\" (2)": LACKS,
    },
    "sum_in_two": {
        'xs: "k"': LACKS,
        'xs: "j"': LACKS,
        'us: ""': LACKS,
        'us: "k j"': LACKS,
        'ys: ""': LACKS,
        "many('j k'), over \"j\"": LACKS,
        "many('j k'), over \"k\"": LACKS,
        "many('j'), over \"\"": LACKS,
        "many('j'), over \"k\"": LACKS,
        "many('k'), over \"\"": LACKS,
    },
    "scores_in_products_of_channels": {
        'q: ""': LACKS,
        'k: ""': LACKS,
        'a: ""': LACKS,
        'b: ""': LACKS,
    },
    "gauge_of_channels": {
        'q: ""': LACKS,
        'k: ""': LACKS,
        "vs.sum(g, 'c'), with max": ANY,
    },
    "reflect_both": {
        'q: ""': LACKS,
        'k: ""': LACKS,
        "x - 2 * vs.contract(x, u, over='c') / length * u, swapped": SWAP,
    },
    "split_softmax": {
        'v: ""': LACKS,
        'u: ""': LACKS,
        "vs.sum(e, 'm') + vs.sum(f, 'k'), with Sub": SIGN,
        "vs.sum(e, 'm') + vs.sum(f, 'k'), with Mult": BOTH,
        "vs.sum(e, 'm'), with max": ANY,
        "vs.sum(f, 'k'), with max": ANY,
    },
    "fold_scale": {
        'q: ""': LACKS,
        'k: ""': LACKS,
    },
}
