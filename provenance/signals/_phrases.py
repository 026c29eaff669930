"""Phrases that assistants leave in text, by language: the ten languages with most web pages, Chinese, Korean and Turkish.

`SPEAKER`: the text's voice says that it is a model. The first person is part of each phrase, because "the program works as a
language model" is said by people. `REFUSAL`: the voice declines or gives its knowledge's end. `OPENER`: the first words
of an answer. `CLOSER`: the last ones, which helpful people write too.
Phrases from SCIENCE 2.7 (Academ-AI, NewsGuard) and the assistants' own habits; translations are the project's.
"""

_AI_EN = r"(?:an? )?(?:ai|artificial intelligence|large)?[ -]?(?:language[ -]model|ai(?: assistant| chatbot| model)?|chatbot)"

SPEAKER = (
    rf"\bas (?:{_AI_EN})(?: (?:trained|developed|created) by \w+)?, ?(?:i\b|my\b|it(?:'|’)s not (?:possible|appropriate) for me)",
    r"\bas an? (?:ai|artificial intelligence|large) language model\b",
    r"\bi(?:'|’)?(?: a)?m (?:just |only )?an? (?:ai|artificial intelligence|large) (?:language model|assistant|model)\b",
    r"\bcomo (?:un |una )?(?:modelo de (?:lenguaje|ia)|ia|inteligencia artificial)(?: de (?:ia|inteligencia artificial))?(?: desarrollad[oa] por \w+)?, ?(?:no |yo |mi |carezco|puedo|tengo|solo)",
    r"\bals (?:ein )?(?:ki[- ](?:sprachmodell|modell|assistent)|(?:gro(?:ß|ss)es )?sprachmodell|künstliche intelligenz|ki)(?: von \w+)?,? (?:kann|habe|bin|besitze|verfüge|darf|ist es mir) ?(?:ich|nicht)?\b",
    r"\ben tant (?:qu(?:'|’)(?:ia|intelligence artificielle|assistant(?: ia| virtuel)?)|que (?:modèle|grand modèle) de lang(?:age|ue)(?: (?:ia|d(?:'|’)ia))?),? (?:je |j(?:'|’)|mes? |il m(?:'|’))",
    r"\bcomo (?:um |uma )?(?:modelo de linguagem|ia|inteligência artificial)(?: de (?:ia|inteligência artificial)| grande)?, ?(?:não |eu |meu |minha |posso |tenho )",
    r"\b(?:come|in quanto) (?:un )?(?:modello (?:linguistico|di linguaggio)|(?:una )?ia|intelligenza artificiale)(?: di (?:ia|intelligenza artificiale))?, ?(?:non |io |mi |posso |ho )",
    r"как (?:большая |искусственная )?(?:языковая модель|ии-модель|модель (?:ии|искусственного интеллекта)|искусственный интеллект|ии),? (?:я |у меня |мне |мои )",
    r"\bals (?:een )?(?:ai[- ](?:taal)?model|(?:groot )?taalmodel|ai[- ]assistent|ai),? (?:kan|heb|ben|mag|beschik) ik\b",
    r"\bjako (?:duży )?(?:model (?:językowy|ai)|asystent ai|sztuczna inteligencja|ai),? (?:nie |ja |mam |mogę |jestem )",
    r"(?:私は)?(?:AI|人工知能|大規模)(?:の)?言語モデル(?:として|であ|なので|です)|(?:私は)?AI(?:アシスタント)?(?:として|なので|であるため)、",
    r"作为(?:一个|一名|一款)?(?:AI|人工智能|大型|大)(?:语言)?(?:模型|助手),?，?(?:我|本人)|(?:我(?:只)?是|身为)一?个?(?:AI|人工智能|大型)?语言模型",
    r"(?:저는|나는) (?:AI|인공지능|대규모) ?(?:언어 ?모델|어시스턴트)|(?:AI|인공지능) ?언어 ?모델(?:로서|이기 때문에)",
    r"\bbir (?:yapay zek(?:a|â) )?(?:dil modeli|yapay zek(?:a|â) asistanı) olarak,? ",
)
REFUSAL = (
    r"\bi(?:'|’)?m sorry,? but (?:as an ai\b|i (?:cannot|can(?:'|’)t|am (?:unable|not able) to) (?:fulfill|fulfil|assist with|comply with|generate|provide) )",
    r"\bi (?:cannot|can(?:'|’)t|am unable to) (?:fulfill|fulfil|complete) (?:this|that|your) (?:request|prompt)\b",
    r"\b(?:as of )?my (?:last |latest )?(?:knowledge (?:cut-?off|update)|training (?:data|cut-?off))(?: (?:date|in|of|is|was|only|does|goes|ends))?\b",
    r"\blo siento, pero (?:como (?:modelo|ia)|no puedo (?:cumplir|completar) (?:con )?(?:esta|esa|tu|su) solicitud)",
    r"\bes tut mir leid, aber (?:als (?:ki|sprachmodell)|ich kann (?:diese|deine|ihre) anfrage nicht)",
    r"\bje suis désolée?, mais (?:en tant qu|je ne peux pas (?:répondre à|satisfaire) (?:cette|votre|ta) (?:demande|requête))",
    r"\b(?:sinto muito|desculpe), mas (?:como (?:modelo|ia)|não posso (?:atender|cumprir) (?:a |com )?(?:esta|essa|sua) (?:solicitação|pedido))",
    r"\bmi dispiace, ma (?:come (?:modello|ia)|non posso soddisfare (?:questa|la tua) richiesta)",
    r"(?:извините|к сожалению), (?:но )?(?:как (?:языковая|ии)|я не могу выполнить (?:этот|ваш|данный) запрос)",
    r"抱歉，(?:我(?:无法|不能)(?:满足|完成|提供)(?:您|你)?的?(?:这个|该)?(?:请求|要求)|作为)|我的知识截止",
    r"申し訳ありませんが、(?:その|この|ご)(?:要求|リクエスト|依頼)には?(?:お応え|対応)(?:でき|いたしかね)",
)
OPENER = (
    r"(?:certainly|sure(?: thing)?|of course|absolutely)[!,.] ?(?:here(?:'|’)?(?:s| is| are)|below is|i(?:'|’)d be happy to)\b",
    r"(?:¡)?(?:claro|por supuesto|desde luego)[!,.]* (?:aquí (?:tienes|está|te)|a continuación)",
    r"(?:natürlich|gerne|selbstverständlich|klar)[!,.] (?:hier (?:ist|sind)|nachfolgend)",
    r"(?:bien sûr|certainement|absolument) ?[!,.] (?:voici|ci-dessous)",
    r"(?:claro|com certeza|certamente)[!,.] (?:aqui (?:está|estão)|segue)",
    r"(?:certo|certamente|ecco a te)[!,.] (?:ecco|di seguito)",
    r"(?:конечно|разумеется)[!,.] (?:вот|ниже)",
    r"(?:natuurlijk|zeker)[!,.] (?:hier (?:is|zijn|volgt))",
    r"(?:oczywiście|jasne)[!,.] (?:oto|poniżej)",
    r"(?:もちろんです|承知しました|かしこまりました)[。！、] ?(?:以下|こちら)",
    r"(?:当然(?:可以)?|好的)[！，。] ?(?:以下是|这里是|这是)",
)
CLOSER = (
    r"\bi hope this helps\b",
    r"\blet me know if you(?:'|’)?(?:d| would) like (?:me to|any (?:changes|adjustments|revisions))",
    r"\bfeel free to (?:ask|let me know) if you (?:have any|need) (?:more|further|other)",
    r"\bwould you like me to (?:expand|continue|elaborate|adjust|rewrite|add)\b",
)
ARTEFACT = (
    r":?contentreference\[oaicite:\d+\]|\boaicite\b",
    r"(?:\bcite|[\ue200-\ue20f]|\b)turn\d+(?:search|view|news|fetch|image|file|academia|forecast|finance|sports)\d+\b",
    r"【\d+(?::\d+)?†[^】\n]{0,80}】",
    r"\battributableindex\b",
    r"\bgrok[_-]card\b|<grok:render",
    r"[?&;]utm_source=(?:chatgpt\.com|openai|copilot\.com)\b",
)
TOPIC = (
    r"\bchat-?gpt|\bgpt-?[2345]|\bopenai\b|\bchat-?bots?\b|\blanguage models?\b|\bllms?\b|\bclaude\b|\bgemini\b|\bcopilot\b|\bartificial intelligence\b|"
    r"\bprompts?\b|\bai[- ](?:generated|written|text|tools?|detect\w*)|\bki[- ]\w+|\bkünstliche\w* intelligenz|\bsprachmodell\w*|\binteligencia artificial|"
    r"\bmodelos? de leng?uaje|\bintelligence artificielle|\bmodèles? de langage|\binteligência artificial|\bmodelos? de linguagem|\bintelligenza artificiale|"
    r"\bmodelli linguistici|искусственн\w+ интеллект\w*|языков\w+ модел\w+|нейросет\w+|\btaalmodel\w*|\bkunstmatige intelligentie|\bmodel\w* językow\w+|"
    r"\bsztuczn\w+ inteligencj\w+|生成AI|人工知能|言語モデル|人工智能|语言模型|聊天机器人|인공지능|언어 ?모델|\byapay zek\w+|\bdil model\w+"
)
